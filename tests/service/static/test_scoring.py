"""Images in by drop, paste and choice; the verdicts are the server's, and the slider changes them without it."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, Request, expect

from tests.service.fakes import Instance, open_instance, png
from tests.service.static.conftest import open_page
from tests.service.static.desk import drop, expect_widths, finish, slide, tile, verdicts

FILES = {"ten.png": png(10), "ninety-five.png": png(95), "thousand.png": png(1000)}
RANKS = {  # among the calibration scores 0 … 98
    "ten.png": "89 of 99 normal images score as high",
    "ninety-five.png": "4 of 99 normal images score as high",
    "thousand.png": "above all 99 normal images",
}


def test_three_dropped_files_get_their_pictures_scores_and_verdicts(page: Page) -> None:
    drop(page, FILES)
    finish(page, shown=3)
    assert verdicts(page) == {"thousand.png": "anomalous", "ninety-five.png": "anomalous", "ten.png": "normal"}
    assert list(verdicts(page)) == ["thousand.png", "ninety-five.png", "ten.png"]  # the highest score first
    for (name, rank), score in zip(RANKS.items(), ("10", "95", "1,000"), strict=True):
        expect(tile(page, name).locator(".score")).to_have_text(f"score {score}")
        expect(tile(page, name).locator(".rank")).to_have_text(rank)
        expect_widths(page, name, 8, 8, 8, 8)
    expect(page.locator("#num-anomalous")).to_have_text("2")


@pytest.mark.parametrize("way", ["paste", "choose"])
def test_files_can_be_pasted_and_chosen(page: Page, way: str) -> None:
    if way == "paste":
        drop(page, {"pasted.png": png(5)}, "paste")
    else:
        page.set_input_files("#files", FilePayload(name="chosen.png", mimeType="image/png", buffer=png(5)))
    finish(page, shown=1)
    assert list(verdicts(page).values()) == ["normal"]


def test_the_slider_relabels_with_no_request(page: Page) -> None:
    drop(page, FILES)
    finish(page, shown=3)
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    seen = set()
    for position in range(0, 201, 5):
        slide(page, position)
        seen.add(tuple(sorted(verdicts(page).items())))
    assert len(seen) == 3  # none; the thousand; it and the ninety-five: ten.png's 0.9 is beyond the slider
    assert requests == []


def test_page_and_server_give_the_same_verdicts_at_each_rate(page: Page, line: Instance) -> None:
    files = {f"{tag}.png": png(tag) for tag in (0, 49, 50, 51, 88, 89, 90, 94, 95, 96, 97, 98, 99, 100)}
    drop(page, files)
    finish(page, shown=len(files))
    page.locator("#sort").select_option("name")
    for position in range(0, 201, 20):
        slide(page, position)
        found = verdicts(page)
        alpha = float(page.locator("#alpha-value").inner_text().removesuffix(" %")) / 100
        answers = {name: line.score(data, alpha=alpha).json()["is_anomalous"] for name, data in files.items()}
        called = {name: {"anomalous": True, "normal": False, "none": None}[v] for name, v in found.items()}
        assert called == answers, alpha


def test_the_slider_begins_at_the_servers_own_rate(context: BrowserContext, tmp_path: Path) -> None:
    with open_instance(tmp_path, alpha=0.03) as strict:
        page = open_page(context, strict)
        expect(page.locator("#alpha-value")).to_have_text("3 %")
        drop(page, FILES)
        finish(page, shown=3)
        assert verdicts(page)["ninety-five.png"] == "normal"  # p = 0.05
        slide(page, 150)
        expect(page.locator("#alpha-value")).not_to_have_text("3 %")
        assert page.locator("#alpha").input_value() == "150"


def test_a_rate_below_the_grain_of_the_p_values_is_said_to_need_more_calibration_images(page: Page) -> None:
    drop(page, FILES)
    finish(page, shown=3)
    slide(page, 0)
    assert set(verdicts(page).values()) == {"none"}
    expect(page.locator("#alpha-shortage")).to_contain_text(
        "No verdict: this model compares with 99 normal images, which is enough for false-alarm rates from 1 % up. "
        "A rate of 0.1 % needs at least 999."
    )
    slide(page, 200)
    expect(page.locator("#alpha-shortage")).to_be_empty()


def test_the_model_tells_of_itself(page: Page, line: Instance) -> None:
    expect(page.locator("#model")).to_have_text("m · version 1")
    page.get_by_role("button", name="About it").click()
    expect(page.locator("#card h3")).to_have_text("m")  # its card is "# m"
    expect(page.locator("#card .digest")).to_have_text("digest digest of m/1")
    page.keyboard.press("Escape")
    expect(page.locator("#card")).to_be_hidden()


def test_the_strongest_place_is_boxed_where_the_verdict_is_anomalous(
    page: Page, line: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single pixel at column 2 and row 5 of 8. The slider changes the verdict, and the box with it."""
    monkeypatch.setattr(line.detector, "hottest", 0.8)
    drop(page, FILES)
    finish(page, shown=3)
    slide(page, 120)
    for name, verdict in verdicts(page).items():
        box = tile(page, name).locator(".strongest")
        expect(box).to_be_visible() if verdict == "anomalous" else expect(box).to_be_hidden()
    assert set(verdicts(page).values()) == {"anomalous", "normal"}
    anomalous = tile(page, "thousand.png")
    expect(anomalous).to_contain_text("heatmap 3.2×")
    edges = anomalous.evaluate("""(tile) => {
      const [map, box] = [".heatmap", ".strongest .inner"].map((each) => tile.querySelector(each));
      const [a, b] = [map, box].map((each) => each.getBoundingClientRect());
      return [b.left - a.left, b.right - a.left, b.top - a.top, b.bottom - a.top].map((edge) => (8 * edge) / a.width);
    }""")
    assert edges == pytest.approx([2, 3, 5, 6], abs=0.35)  # in pixels of the picture, and half a line more
    slide(page, 0)
    expect(anomalous.locator(".strongest")).to_be_hidden()


def test_a_flat_heatmap_has_no_box(page: Page) -> None:
    drop(page, {"thousand.png": png(1000)})
    finish(page, shown=1)
    assert list(verdicts(page).values()) == ["anomalous"]
    expect(tile(page, "thousand.png").locator(".strongest")).to_have_count(0)


def test_a_term_that_is_far_out_is_told_of_an_image_that_is_not_called_anomalous(page: Page) -> None:
    drop(page, {"forty.png": png(40), "ten.png": png(10)})  # (40 / 2 − 2) / 4 = 4.5 standard deviations
    finish(page, shown=2)
    tile(page, "forty.png").locator("button").click()
    expect(page.locator("#viewer-terms")).to_contain_text("20, 4.5 standard deviations above normal images")
    expect(page.locator("#viewer-contradiction")).to_be_empty()
    page.keyboard.press("Escape")
    drop(page, {"ninety.png": png(90)})
    finish(page, shown=3)
    tile(page, "ninety.png").locator("button").click()
    expect(page.locator("#viewer-contradiction")).to_have_text(
        "residual alone is 10.8 standard deviations above normal images, though the score is ordinary."
    )
