"""Many images: the document stays small, and the gallery is sorted, filtered and walked through."""

import pytest
from playwright.sync_api import Page, expect

from tests.service.fakes import picture, png
from tests.service.static.desk import drawn, drop, finish, slide, tile, tiles, verdicts

FEW = {f"{tag}.png": png(tag) for tag in (50, 7, 1000, 96, 300)}


def in_window(page: Page) -> list[int]:
    """The places, from 1, of the tiles of which something is in the window once the page has drawn."""
    drawn(page)
    code = """(all) => all.filter((tile) => {
      const { top, bottom } = tile.getBoundingClientRect();
      return bottom > 0 && top < innerHeight;
    }).map((tile) => Number(tile.ariaPosInSet))"""
    return [int(place) for place in tiles(page).evaluate_all(code)]


def names(page: Page) -> list[str]:
    return list(verdicts(page))


def test_a_gallery_of_a_thousand_images_scrolls_and_its_document_stays_small(page: Page) -> None:
    drop(page, {f"{tag:04d}.png": png(tag) for tag in range(1000)})
    page.locator("#sort").select_option("name")
    expect(tile(page, "0000.png")).to_be_in_viewport()
    height = page.locator("#gallery").bounding_box()
    assert height is not None
    assert height["height"] > 40_000
    for share in (0.2, 0.5, 0.9, 1.0):
        page.evaluate("(share) => scrollTo(0, share * document.documentElement.scrollHeight)", share)
        seen = in_window(page)
        assert len(seen) >= 6  # the window is full of tiles, wherever it is
        assert seen == list(range(seen[0], seen[-1] + 1))
        assert abs(seen[0] - 1000 * share) < 50
        assert tiles(page).count() < 60
        assert page.locator("*").count() < 2000
    expect(tile(page, "0999.png")).to_be_in_viewport()
    assert tile(page, "0999.png").get_attribute("aria-posinset") == "1000"
    assert tile(page, "0999.png").get_attribute("aria-setsize") == "1000"
    expect(tile(page, "0000.png")).to_have_count(0)
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#workbench")).to_be_hidden()


def test_the_gallery_is_sorted_and_filtered_by_score_and_verdict(page: Page) -> None:
    drop(page, FEW)
    finish(page, shown=5)
    orders = {
        "highest": ["1000.png", "300.png", "96.png", "50.png", "7.png"],
        "lowest": ["7.png", "50.png", "96.png", "300.png", "1000.png"],
        "added": list(FEW),
        "name": ["7.png", "50.png", "96.png", "300.png", "1000.png"],
    }
    for sort, expected in orders.items():
        page.locator("#sort").select_option(sort)
        assert names(page) == expected, sort
    page.locator("#show").select_option("anomalous")
    assert names(page) == ["96.png", "300.png", "1000.png"]
    expect(page.locator("#shown")).to_have_text("3 of 5 shown")
    page.locator("#max-score").fill("300")
    assert names(page) == ["96.png", "300.png"]
    page.locator("#min-score").fill("96.5")
    assert names(page) == ["300.png"]
    slide(page, 0)  # no verdicts: nothing is anomalous
    assert names(page) == []
    for field in ("#min-score", "#max-score"):
        page.locator(field).fill("")
    page.locator("#show").select_option("other")
    assert len(names(page)) == 5


def test_the_gallery_and_an_image_can_be_reached_turned_and_left_by_keys(page: Page) -> None:
    drop(page, FEW)
    finish(page, shown=5)
    tiles(page).first.locator("button").focus()
    page.keyboard.press("ArrowRight")
    expect(tile(page, "300.png").locator("button")).to_be_focused()
    page.keyboard.press("End")
    expect(tile(page, "7.png").locator("button")).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer-name")).to_have_text("1000.png")
    expect(page.locator("#viewer-place")).to_have_text("1 of 5")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer-name")).to_have_text("300.png")
    expect(page.locator("#viewer-facts")).to_contain_text("above all 99 normal images")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(tile(page, "300.png").locator("button")).to_be_focused()


def test_one_tab_stop_for_all_tiles(page: Page) -> None:
    drop(page, FEW)
    finish(page, shown=5)
    assert page.locator("#tiles button[tabindex='0']").count() == 1


@pytest.mark.parametrize("slider", ["#opacity", "#viewer-opacity"])
def test_opacity_and_zoom(page: Page, slider: str) -> None:
    drop(page, FEW)
    finish(page, shown=5)
    tiles(page).first.locator("button").click()
    set_range(page, slider, 0.25)
    drawn(page)
    heat = page.locator("canvas.heatmap").evaluate_all("(all) => all.map((c) => getComputedStyle(c).opacity)")
    assert set(heat) == {"0.25"}
    assert page.locator("#opacity").input_value() == page.locator("#viewer-opacity").input_value() == "0.25"
    set_range(page, "#zoom", 4)
    grown = "(panes) => panes.map((p) => Math.round(p.scrollWidth / p.clientWidth))"
    assert page.locator("#viewer .pane").evaluate_all(grown) == [4, 4, 4]
    page.locator("#viewer .pane").first.evaluate("(pane) => pane.scrollTo(60, 40)")
    drawn(page)
    places = page.locator("#viewer .pane").evaluate_all("(panes) => panes.map((p) => [p.scrollLeft, p.scrollTop])")
    assert places == [[60, 40]] * 3


def set_range(page: Page, selector: str, value: float) -> None:
    page.locator(selector).evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )


def test_a_file_that_the_browser_cannot_show_says_so_once_and_not_under_its_heatmap(page: Page) -> None:
    drop(page, {"a.tiff": picture(8, 8, "TIFF")})
    finish(page, shown=1)
    only = tile(page, "a.tiff")
    expect(only.locator(".why", has_text="no preview")).to_have_count(1)
    heat = only.locator(".pane").filter(has_text="heatmap")
    expect(heat.locator("canvas.heatmap")).to_have_count(1)
    expect(heat.locator(".why")).to_have_text([""])


def test_another_view_begins_at_its_top_and_the_gallery_is_where_it_was_left(page: Page) -> None:
    page.set_viewport_size({"width": 640, "height": 360})
    drop(page, {f"{i}.png": png(i) for i in range(40)})
    expect(page.locator("#num-normal")).to_have_text("40")
    page.evaluate("() => scrollTo(0, 900)")
    drawn(page)
    link = page.get_by_role("link", name="Drift")
    link.evaluate("(each) => each.focus({ preventScroll: true })")
    page.keyboard.press("Enter")
    expect(page.locator("#drift")).to_be_visible()
    drawn(page)
    assert page.evaluate("() => scrollY") == 0
    page.go_back()
    expect(page.locator("#inspect")).to_be_visible()
    drawn(page)
    assert page.evaluate("() => scrollY") == 900
