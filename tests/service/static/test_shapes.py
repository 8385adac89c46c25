"""Pictures that are no squares: in their own shape, and the same place in image, closest normal and map."""

import csv
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect

from anomaly import load_detector
from service.app import create_app
from service.settings import Settings
from tests.service.fakes import pages, picture, served
from tests.service.static.desk import drop, finish, tile, tiles
from tests.service.static.test_gallery import set_range

SIZE = (80, 96)
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
PLACES = """(panes) => panes.map((pane) => {
  const [frame, sheet] = [pane, pane.querySelector(".sheet")].map((each) => each.getBoundingClientRect());
  const [x, y] = [(frame.left - sheet.left) / sheet.width, (frame.top - sheet.top) / sheet.height];
  return [sheet.width / sheet.height, x, y];
})"""
MIDDLE = """(pane) => [
  (pane.scrollLeft + pane.clientWidth / 2) / pane.scrollWidth,
  (pane.scrollTop + pane.clientHeight / 2) / pane.scrollHeight,
]"""
PLACED = """async ([resize, width, height]) => {
  const { placed } = await import("./static/placing.js");
  const canvas = new OffscreenCanvas(32, 32);
  const context = canvas.getContext("2d");
  for (let at = 0; at < 32; at += 1) {
    context.fillStyle = `rgb(${at * 8} 0 0)`;
    context.fillRect(at, 0, 1, 32);
  }
  const bitmap = await placed(await createImageBitmap(canvas), [width, height], { resize });
  const drawn = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  drawn.drawImage(bitmap, 0, 0);
  const { data } = drawn.getImageData(0, Math.floor(bitmap.height / 2), bitmap.width, 1);
  const red = Array.from({ length: bitmap.width }, (_, x) => (data[4 * x + 3] ? data[4 * x] / 8 : null));
  return [bitmap.width, bitmap.height, red];
}"""


@pytest.fixture(scope="module")
def address(whole_places_dir: Path) -> Iterator[str]:
    """A server with a model without G, of pictures that keep their shapes."""
    settled = threading.Event()
    settings = Settings(models=whole_places_dir.parent, threads=1, alpha=0.4)
    app = create_app(settings, on_settled=lambda pool: settled.set())
    with served(app, settings) as client:
        assert settled.wait(60)
        yield str(client.base_url)


def places(panes: Locator) -> list[list[float]]:
    """Of each pane: the shape of the sheet, and where in it the pane's corner lies, in shares."""
    panes.page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
    found: list[list[float]] = panes.evaluate_all(PLACES)
    return found


def test_a_picture_keeps_its_shape_and_its_map_lies_on_it_at_every_zoom_and_width(
    context: BrowserContext, address: str, drawn_parts: Path
) -> None:
    page = context.new_page()
    page.goto(address)
    page.locator("#model:enabled").wait_for()
    page.set_input_files("#files", sorted(drawn_parts.iterdir())[0])
    finish(page, shown=1)
    expect(tiles(page).locator(".pane")).to_have_count(2)  # no closest normal
    for sheet in tiles(page).locator(".sheet").all():
        expect(sheet).to_have_js_property("isConnected", True)
        box = sheet.bounding_box()
        assert box is not None
        assert box["width"] / box["height"] == pytest.approx(SIZE[0] / SIZE[1], rel=0.02)
    tiles(page).locator("button").click()
    panes = page.locator("#viewer .pane")
    for window in (WIDE, NARROW):
        page.set_viewport_size(window)  # type: ignore[arg-type]
        for zoom in (1, 2.5, 8):
            set_range(page, "#zoom", zoom)
            panes.first.evaluate("(pane) => pane.scrollTo(0.3 * pane.scrollWidth, 0.6 * pane.scrollHeight)")
            first, *others = places(panes)
            assert len(others) == 1
            for other in others:
                assert other == pytest.approx(first, abs=0.01), (window, zoom)
            assert first[0] == pytest.approx(SIZE[0] / SIZE[1], rel=0.01)


def test_the_middle_of_what_is_seen_stays_when_the_zoom_changes(
    context: BrowserContext, address: str, drawn_parts: Path
) -> None:
    page = context.new_page()
    page.goto(address)
    page.locator("#model:enabled").wait_for()
    page.set_input_files("#files", sorted(drawn_parts.iterdir())[0])
    finish(page, shown=1)
    tiles(page).locator("button").click()
    set_range(page, "#zoom", 4)
    assert page.locator("#viewer .pane").first.evaluate(MIDDLE) == pytest.approx([0.5, 0.5], abs=0.02)


@pytest.mark.parametrize(
    ("resize", "size", "expected"),
    [
        ("pad", (40, 20), (32, 16, list(range(32)))),  # the padding above and below is left out
        ("pad", (20, 40), (16, 32, list(range(8, 24)))),
        ("crop", (40, 20), (64, 32, [None] * 16 + list(range(32)) + [None] * 16)),  # the sides were not seen
        ("stretch", (40, 20), (32, 32, list(range(32)))),
        ("pad", (20, 20), (32, 32, list(range(32)))),
    ],
)
def test_what_a_model_draws_is_laid_where_it_saw_it(
    page: Page, resize: str, size: tuple[int, int], expected: tuple[int, int, list[int | None]]
) -> None:
    found: list[Any] = page.evaluate(PLACED, [resize, *size])
    assert tuple(found) == expected


def test_before_its_answer_a_picture_has_its_shape_too(page: Page) -> None:
    page.route("**/score?*", lambda route: None)  # never answered
    page.set_input_files("#files", {"name": "tall.png", "mimeType": "image/png", "buffer": picture(30, 60)})
    sheet = tiles(page).locator(".sheet")
    expect(sheet).to_have_css("aspect-ratio", "0.5 / 1")
    page.get_by_role("button", name="Cancel").click()


def test_a_picture_of_a_size_that_did_not_calibrate_is_told(
    address: str, whole_places_dir: Path, context: BrowserContext
) -> None:
    page = context.new_page()
    page.goto(address)
    page.locator("#model:enabled").wait_for()
    drop(page, {"small.png": picture(40, 40), "usual.png": picture(64, 64)})
    finish(page, shown=2)
    expect(tile(page, "small.png").locator(".rank")).to_have_text("of another size or shape")
    expect(tile(page, "usual.png").locator(".rank")).to_contain_text("normal images")
    with page.expect_download() as download:
        page.locator("#export").click()
    rows = {row["name"]: row["warning"] for row in csv.DictReader(download.value.path().read_text().splitlines())}
    assert rows == {"small.png": load_detector(whole_places_dir).size_warning(40, 40), "usual.png": ""}
    tile(page, "usual.png").locator("button").click()
    expect(page.locator("#viewer-facts")).not_to_contain_text("warning")
    page.keyboard.press("Escape")
    tile(page, "small.png").locator("button").click()
    expect(page.locator("#viewer-facts tr", has_text="warning")).to_contain_text("the picture is 40 × 40 pixels")


def test_what_of_a_file_was_not_used_is_told_beside_the_image(address: str, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(address)
    page.locator("#model:enabled").wait_for()
    unseen = io.BytesIO()
    Image.new("LA", (64, 64), (120, 0)).save(unseen, "png")
    drop(page, {"pages.tif": pages(5, 6), "usual.png": picture(64, 64), "alpha.png": unseen.getvalue()})
    finish(page, shown=3)
    expect(tile(page, "pages.tif").locator(".rank")).to_contain_text("not all of the file was looked at; ")
    for name in ("usual.png", "alpha.png"):  # of the second nothing is missing
        expect(tile(page, name).locator(".rank")).not_to_contain_text("not all")
    with page.expect_download() as download:
        page.locator("#export").click()
    rows = {row["name"]: row["remarks"] for row in csv.DictReader(download.value.path().read_text().splitlines())}
    assert rows["pages.tif"] == "there are several pages or frames, of which only the first was read"
    assert (rows["usual.png"], rows["alpha.png"][:16]) == ("", "the transparency")
    tile(page, "usual.png").locator("button").click()
    expect(page.locator("#viewer-facts")).not_to_contain_text("pages or frames")
    page.keyboard.press("Escape")
    tile(page, "pages.tif").locator("button").click()
    expect(page.locator("#viewer-facts tr", has_text="file")).to_contain_text("of which only the first was read")
