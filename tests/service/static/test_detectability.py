"""How small a defect a model finds, drawn in its card: panels, heights, intervals, and the same in words."""

import re
from dataclasses import replace
from math import log2
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from playwright.sync_api import Locator, Page, expect

from anomaly.bundle import Bundle, Contents, DetectabilityRecord, load
from anomaly.bundle.card import model_card
from tests.bundle.records import make_cell, make_record
from tests.service.fakes import Instance

BEFORE_AND_AFTER = """(figure) => {
  const before = figure.previousElementSibling;
  return [before.previousElementSibling, before, figure.nextElementSibling].map(({ textContent }) => textContent);
}"""
MIDDLES = """(marks) => marks.map((mark) => {
  const { x, y, width, height } = mark.getBBox();
  return [x + width / 2, y + height / 2];
})"""


def with_detectability(bundle: Bundle, record: DetectabilityRecord | None, trained: Path) -> Bundle:
    """The bundle with this record, and with the card that one trained as `trained` would have."""
    contents, change = bundle.contents, {"detectability": record}
    changed = SimpleNamespace(
        manifest=contents.manifest.model_copy(update=change),
        calibration=contents.calibration,
        statistics=contents.statistics,
    )
    manifest = load(trained).manifest.model_copy(update=change)
    card = model_card(manifest, contents.calibration, name="m", version=1)
    return replace(bundle, contents=cast("Contents", changed), card=card)


def make_long_record() -> DetectabilityRecord:
    """Given in no order: one scratch is not there at length 4, and missing structure at no other than 4."""
    cells = [
        make_cell(length=16, found=18, low=0.7, high=0.97),
        make_cell(length=2, found=4, low=0.08, high=0.42),
        make_cell(length=2, contrast=0.1, found=1, low=0.01, high=0.24),
        make_cell(length=4, contrast=0.1, found=0, low=0, high=0.16),
        make_cell(length=16, contrast=0.1, found=20, low=0.84, high=1),
        make_cell(kind="missing structure", width=4, length=4, contrast=None, found=3, shown=7, low=0.16, high=0.75),
    ]
    return make_record(alpha=0.05, cells=cells)


@pytest.fixture
def figure(page: Page, line: Instance, bigan_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Locator:
    """Of a model with the long record."""
    bundle = with_detectability(line.detector.bundle, make_long_record(), bigan_dir)
    monkeypatch.setattr(line.detector, "bundle", bundle)
    return open_card(page).locator(".detectability")


def open_card(page: Page) -> Locator:
    page.get_by_role("button", name="About it").click()
    expect(page.locator("#card .digest")).to_be_visible()
    return page.locator("#card")


class Panel:
    """One of them, read by its own grid lines and tick labels."""

    def __init__(self, figure: Locator, title: str) -> None:
        self.chart = figure.locator("figure").filter(has_text=title).locator("svg")
        grid = [numbers(d) for d in texts(self.chart.locator(".grid"), "d")]
        self._lowest, self._highest = grid[0][1], grid[-1][1]  # of 0 % and of 100 %

    def share_at(self, y: float) -> float:
        return (self._lowest - y) / (self._lowest - self._highest)

    def marks(self, style: int) -> list[tuple[float, float]]:
        """Where they stand, and the shares that they show."""
        found = self.chart.locator(f".line-{style} > :not(path)").evaluate_all(MIDDLES)
        return [(x, self.share_at(y)) for x, y in found]

    def curve(self, style: int) -> list[tuple[float, float]]:
        """The same of the line through the marks."""
        values = numbers(texts(self.chart.locator(f".line-{style} .curve"), "d")[0])
        return [(x, self.share_at(y)) for x, y in zip(values[::2], values[1::2], strict=True)]

    def intervals(self, style: int) -> list[tuple[float, float, float]]:
        """Where the bars stand, and from which share to which they reach."""
        bars = [numbers(d) for d in texts(self.chart.locator(f".line-{style} .interval"), "d")]
        return [(x, self.share_at(low), self.share_at(high)) for x, low, high in bars]

    def ticks(self) -> dict[int, float]:
        """Where each length stands."""
        labels = self.chart.locator("text").evaluate_all(
            "(all) => all.map((text) => [text.textContent, Number(text.getAttribute('x'))])"
        )
        return {int(text): x for text, x in labels if text.isdigit()}


def texts(elements: Locator, attribute: str) -> list[str]:
    found: list[str] = elements.evaluate_all(f"(all) => all.map((each) => each.getAttribute('{attribute}'))")
    return found


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


def near(values: list[float]) -> object:
    """To a thousandth."""
    return pytest.approx(values, abs=0.001)


def test_there_is_a_panel_for_each_kind_between_the_sentences_and_the_table(figure: Locator) -> None:
    expect(figure.locator("figcaption")).to_have_text(["Dark scratch", "Missing structure"])
    heading, sentences, below = figure.evaluate(BEFORE_AND_AFTER)
    assert heading == "How small a defect is found"
    assert sentences == " ".join(make_long_record().sentences())
    assert below.startswith("Each cell is")
    expect(figure.page.locator("#card")).to_contain_text("4/20 (8–42)")


def test_marks_and_lines_are_at_the_shares_found(figure: Locator) -> None:
    scratch = Panel(figure, "Dark scratch")
    for style, shares in enumerate([[0.2, 0.9], [0.05, 0, 1]]):
        assert [share for _, share in scratch.marks(style)] == near(shares)
        assert scratch.curve(style) == [pytest.approx(point, abs=0.01) for point in scratch.marks(style)]
    assert [share for _, share in Panel(figure, "Missing structure").marks(2)] == near([3 / 7])
    assert Panel(figure, "Missing structure").marks(0) == []


def test_bars_are_the_intervals_and_stand_at_their_marks(figure: Locator) -> None:
    scratch = Panel(figure, "Dark scratch")
    strong, weak = scratch.intervals(0), scratch.intervals(1)
    assert [end for _, *ends in strong for end in ends] == near([0.08, 0.42, 0.7, 0.97])
    assert [end for _, *ends in weak for end in ends] == near([0.01, 0.24, 0, 0.16, 0.84, 1])
    for style, bars in enumerate([strong, weak]):
        assert [x for x, *_ in bars] == near([x for x, _ in scratch.marks(style)])
    ((_, low, high),) = Panel(figure, "Missing structure").intervals(2)
    assert [low, high] == near([0.16, 0.75])


def test_lengths_stand_on_a_scale_of_powers_of_two_and_contrasts_beside_each_other(figure: Locator) -> None:
    scratch = Panel(figure, "Dark scratch")
    ticks = scratch.ticks()
    assert list(ticks) == [2, 4, 16]
    octave = ticks[4] - ticks[2]
    assert ticks[16] - ticks[2] == pytest.approx(octave * log2(16 / 2))
    strong, weak = ([x for x, _ in scratch.marks(style)] for style in (0, 1))
    assert strong == pytest.approx([ticks[2], ticks[16]], abs=octave / 8)
    assert weak == pytest.approx(list(ticks.values()), abs=octave / 8)
    assert strong[0] < ticks[2] < weak[0]
    assert [x for x, _ in Panel(figure, "Missing structure").marks(2)] == near([ticks[4]])


def test_a_dotted_line_is_at_alpha(figure: Locator) -> None:
    for title in ("Dark scratch", "Missing structure"):
        panel = Panel(figure, title)
        (level,) = texts(panel.chart.locator(".level"), "d")
        assert panel.share_at(numbers(level)[1]) == pytest.approx(0.05)
        expect(panel.chart.locator(".level")).not_to_have_css("stroke-dasharray", "none")


def test_the_legend_tells_the_contrasts_apart(figure: Locator) -> None:
    rows = figure.locator("li")
    expect(rows).to_have_text(
        [
            "contrast 30 %", "contrast 10 %", "contrast decided by the picture", "false-alarm rate, 5 %",
            "Bars are 95 % intervals.",
        ]
    )  # fmt: skip
    looks = "(row) => ['stroke-dasharray', 'fill'].map((name) => getComputedStyle(row)[name]).join()"
    for style in range(2):
        drawn = Panel(figure, "Dark scratch").chart.locator(f".line-{style}")
        for part in (".curve", "circle"):
            of_row = rows.nth(style).locator(part).evaluate(looks)
            assert drawn.locator(part).first.evaluate(looks) == of_row
            assert of_row != rows.nth(1 - style).locator(part).evaluate(looks)
    expect(rows.nth(2).locator("rect")).to_have_count(1)


def test_each_panel_is_told_in_words(figure: Locator) -> None:
    charts = figure.get_by_role("img")
    expect(charts).to_have_count(2)
    expect(charts.first).to_have_accessible_name("dark scratch: share found, by length in pixels, at 5 % false alarms")
    expect(charts.first.locator("desc")).to_have_text(
        "contrast 30 %: found at 2 pixels in 4 of 20 pictures (95 % interval 8 to 42 %), "
        "at 16 pixels in 18 of 20 pictures (95 % interval 70 to 97 %). "
        "contrast 10 %: found at 2 pixels in 1 of 20 pictures (95 % interval 1 to 24 %), "
        "at 4 pixels in 0 of 20 pictures (95 % interval 0 to 16 %), "
        "at 16 pixels in 20 of 20 pictures (95 % interval 84 to 100 %)."
    )


def test_without_a_record_nothing_is_drawn(
    page: Page, line: Instance, bigan_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line.detector, "bundle", with_detectability(line.detector.bundle, None, bigan_dir))
    card = open_card(page)
    expect(card.get_by_text("Thresholds", exact=True)).to_be_visible()
    expect(card.locator("svg")).to_have_count(0)
