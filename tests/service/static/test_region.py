"""The outline of a model's region is drawn on the image and on the heatmap, and is not there without a region."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, Route, expect

from anomaly.config.region import encode_region
from tests.service.fakes import png
from tests.service.static.desk import drop, finish, tiles

GREEN = [80, 220, 100, 255]
PIXELS = "(canvas) => [canvas.width, ...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"


def open_image(page: Page) -> None:
    drop(page, {"a.png": png(3)})
    finish(page, shown=1)
    tiles(page).first.click()


def drawn(page: Page, pane: int) -> NDArray[Any]:
    """The pixels of an outline: (h, w, 4)."""
    width, *data = page.locator("#viewer .pane canvas.region").nth(pane).evaluate(PIXELS)
    return np.array(data).reshape(-1, width, 4)


def test_the_outline_is_where_the_region_ends(page: Page) -> None:
    region = np.zeros((4, 4), np.bool_)
    region[1:3, 1:3] = True

    def with_region(route: Route) -> None:
        answer = route.fetch().json()
        for version in answer["versions"]:
            version["preprocess"]["region"] = encode_region(region)
        route.fulfill(json=answer)

    page.route("**/models/m", with_region)
    open_image(page)
    expect(page.locator("#viewer .pane canvas.region")).to_have_count(2)
    page.wait_for_function("() => [...document.querySelectorAll('canvas.region')].every((each) => each.width === 512)")
    for pane in (0, 1):
        pixels = drawn(page, pane)
        line = pixels[:, :, 3] > 0
        assert (pixels[line] == GREEN).all()
        expected = np.zeros((512, 512), np.bool_)
        expected[126:386, 126:386] = True
        expected[128:384, 128:384] = False
        assert np.array_equal(line, expected)


def test_without_a_region_there_is_none(page: Page) -> None:
    open_image(page)
    expect(page.locator("#viewer .pane canvas.heatmap")).to_have_count(1)
    expect(page.locator("#viewer .pane canvas.region")).to_have_count(0)
