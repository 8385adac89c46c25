"""Several models side by side on the same images: a column each, and what they differ in."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.service.fakes import add_bundle, png
from tests.service.static.desk import drawn, drop, finish, tile, tiles
from tests.service.static.test_restart import a_run

SAID = {"95.png": ("anomalous", "anomalous"), "94.png": ("normal", "anomalous"), "3.png": ("normal", "normal")}


@pytest.fixture
def compared(context: BrowserContext, tmp_path: Path) -> Iterator[Page]:
    """Three images judged by `m` and by `other`, which scores half more; at 5 % their limits are 94 and 93.5."""
    for name in ("m", "other", "third"):
        add_bundle(tmp_path / "models", name)
    with a_run(tmp_path, context) as page:
        page.get_by_text("Compare", exact=True).click()
        page.get_by_label("other").check()
        page.keyboard.press("Escape")
        expect(page.locator("#compare")).not_to_have_attribute("open", "")
        drop(page, {name: png(int(name.partition(".")[0])) for name in SAID})
        finish(page, shown=3)
        yield page


def said(page: Page, name: str) -> list[tuple[str, str]]:
    """The models of a tile, and their verdicts."""
    drawn(page)
    code = "(all) => all.map((each) => [each.dataset.model, each.dataset.verdict])"
    return [(model, verdict) for model, verdict in tile(page, name).locator(".judgement").evaluate_all(code)]


def test_each_image_has_the_verdicts_of_all_models_beside_each_other(compared: Page) -> None:
    for name, (first, second) in SAID.items():
        assert said(compared, name) == [("m", first), ("other", second)]
    drawn(compared)
    columns = (
        tile(compared, "94.png")
        .locator(".column")
        .evaluate_all(
            "(all) => all.map((each) => { const { left, top } = each.getBoundingClientRect(); return [left, top]; })"
        )
    )
    assert len({top for _, top in columns}) == 1
    assert [left for left, _ in columns] == sorted({left for left, _ in columns})
    expect(tile(compared, "94.png").locator(".column").nth(2)).to_contain_text("other")
    expect(tile(compared, "94.png").locator(".column").nth(2)).to_contain_text("score 94.5")
    expect(compared.locator("#others-counts")).to_contain_text("▲ 2 anomalous · ● 1 normal")
    expect(compared.locator("#num-disputed")).to_have_text("The models say different things of 1 of 3 images.")
    compared.locator("#show").select_option("disputed")
    expect(tiles(compared)).to_have_count(1)
    expect(tile(compared, "94.png")).to_be_visible()


def test_the_export_has_a_row_an_image_and_model(compared: Page, tmp_path: Path) -> None:
    with compared.expect_download() as download:
        compared.locator("#export").click()
    download.value.save_as(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = [(row["name"], row["model"], row["verdict"], row["score"]) for row in csv.DictReader(file)]
    assert rows[:3] == [
        ("95.png", "m", "anomalous", "95"),
        ("95.png", "other", "anomalous", "95.5"),
        ("94.png", "m", "normal", "94"),
    ]
    assert len(rows) == 6


def test_an_image_opens_with_the_maps_of_all_models_and_one_correction_is_for_all(compared: Page) -> None:
    tile(compared, "94.png").locator("button").click()
    expect(compared.locator("#viewer .pane canvas.heatmap")).to_have_count(2)
    drawn(compared)
    captions = compared.locator("#viewer-panes figcaption").all_inner_texts()
    assert [text.partition(" 1×")[0] for text in captions] == [
        *["Image", "Closest normal, m", "Heatmap, m", "Closest normal, other", "Heatmap, other"]
    ]
    expect(compared.locator("#viewer-verdict")).to_have_text("m● normalother▲ anomalous")
    expect(compared.locator("#viewer-facts tr").nth(1)).to_have_text("score9494.5")
    compared.locator("#viewer").get_by_role("button", name="It is anomalous").click()
    expect(compared.locator("#viewer-verdict")).to_contain_text("● normal, corrected to anomalous")
    expect(compared.locator("#viewer-verdict")).to_contain_text("▲ anomalous, confirmed")
    compared.keyboard.press("Escape")
    for model, told in {"m": "Corrected to anomalous by local.", "other": "Confirmed by local."}.items():
        compared.get_by_role("link", name="History").click()
        compared.locator("#model").select_option(model)
        expect(compared.locator("#history-rows li").filter(has_text="94.png")).to_contain_text(told)


def test_a_model_that_is_ticked_later_scores_what_is_there_when_told(compared: Page) -> None:
    compared.locator("#compare summary").click()
    compared.get_by_label("third").check()
    compared.keyboard.press("Escape")
    assert said(compared, "3.png")[2] == ("third", "unscored")
    expect(compared.locator("#num-disputed")).to_have_text(  # a model that was not asked does not differ
        "The models say different things of 1 of 3 images. 3 of 3 images are not scored by all models yet."
    )
    compared.locator("#show").select_option("disputed")
    expect(tiles(compared)).to_have_count(1)
    compared.locator("#show").select_option("all")
    compared.get_by_role("button", name="Score all with third").click()
    finish(compared, shown=3)
    expect(compared.locator("#num-disputed")).to_have_text("The models say different things of 1 of 3 images.")
    assert said(compared, "95.png")[2] == ("third", "anomalous")
    compared.locator("#model").select_option("other")  # nothing is scored anew
    assert said(compared, "94.png") == [("other", "anomalous"), ("third", "normal")]
    expect(compared.locator("#again")).to_be_hidden()
