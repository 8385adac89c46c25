"""The page of an archive: its sentences, axes and badges."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomaly.report import archive_page
from anomaly.report.archive_page import ArchiveFindings, BinnedCounts, FlaggedShard, render_archive
from anomaly.report.page import show_example
from tests.evaluation.evaluations import make_example
from tests.report.test_page import Page

MANIFEST: dict[str, object] = {
    "source": "/data/src",
    "num_rows": 60,
    "num_failed": 1234,
    "num_shards": 2,
    "num_shards_failed": 0,
    "errors": {"cannot be decoded": 1234},
    "failed_shards": {},
    "digest": "ab",
    "recipe": {"alpha": 0.05},
    "fdr": None,
}


def binned(*counts: int) -> BinnedCounts:
    return BinnedCounts(np.linspace(0, 1, len(counts) + 1), np.array(counts))


def make_findings(**changes: Any) -> ArchiveFindings:
    findings = ArchiveFindings(
        model="m/1",
        manifest=MANIFEST,
        threshold=4.0,
        flagged_by="false-alarm rate 0.05",
        num_flagged=2,
        scores=binned(50, 10),
        p_values=binned(5, 55),
        shares=binned(1, 1),
        shards=[FlaggedShard("a.tar", 10_000, 9_999)],
        strangest=[
            show_example(make_example(score=9.0), is_alarm=True),
            show_example(make_example(score=3.0), is_alarm=False),
        ],
        unreadable=[],
    )
    return replace(findings, **changes)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Axes]:
    """The axes of the page's figures, by their titles; no picture is made."""
    figures: dict[str, Axes] = {}

    def draw_here(title: str, draw: Any, theme: object) -> bytes:
        draw(figures.setdefault(title, Figure().add_subplot()))
        return b""

    monkeypatch.setattr(archive_page, "draw_png", draw_here)
    return figures


def text_of(findings: ArchiveFindings) -> str:
    return " ".join(Page(render_archive(findings)).text.split())


@pytest.mark.usefixtures("drawn")
def test_one_is_told_as_one_and_none_has_no_heading() -> None:
    assert "2 of 60 images are flagged" in text_of(make_findings())
    assert "The 2 strangest images" in text_of(make_findings())
    one = make_findings(
        manifest=MANIFEST | {"num_rows": 1}, num_flagged=1, strangest=[show_example(make_example(), is_alarm=True)]
    )
    assert "1 of 1 image is flagged" in text_of(one)
    assert "The strangest image Heatmap" in text_of(one)
    assert "strangest" not in text_of(make_findings(strangest=[]))


@pytest.mark.usefixtures("drawn")
def test_a_share_that_is_not_all_is_not_100_percent() -> None:
    assert "9,999 99.99%" in text_of(make_findings())


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(
    ("fdr", "threshold", "word"), [(None, 4.0, "alarm"), (0.1, 4.0, "flagged"), (0.1, None, "flagged")]
)
def test_an_image_has_the_verdict_that_is_counted(fdr: float | None, threshold: float | None, word: str) -> None:
    """By `--fdr` an image above the threshold may pass, and one below it be flagged."""
    scores = {9.0: False, 3.0: True}
    strangest = [show_example(make_example(score=score), is_alarm=flagged) for score, flagged in scores.items()]
    text = text_of(make_findings(manifest=MANIFEST | {"fdr": fdr}, threshold=threshold, strangest=strangest))
    first, second = text.split("score 9")[1].split("score 3")
    assert "passed" in first
    assert word in second.split("How this was made")[0]


@pytest.mark.usefixtures("drawn")
def test_without_any_verdict_no_image_has_one() -> None:
    shown = text_of(make_findings(threshold=None)).partition("strangest images")[2].partition("How this was made")[0]
    assert "score 9" in shown
    assert not [word for word in ("passed", "alarm", "flagged") if word in shown]


@pytest.mark.usefixtures("drawn")
def test_numbers_stand_below_their_heading_and_reasons_too() -> None:
    page = render_archive(make_findings(manifest=MANIFEST | {"failed_shards": {"b.tar": "it is torn"}}))
    assert '<th class="value">Number</th>' in page
    assert '<td class="value">1,234</td>' in page
    assert "<th>Reason</th>" in page
    assert "<td>it is torn</td>" in page


def test_axes_of_counts_can_be_read(drawn: dict[str, Axes]) -> None:
    render_archive(make_findings(scores=binned(8, 0, 1), p_values=binned(1_234_567, 0)))
    few, many = drawn["How the scores are spread"], drawn["How the p-values are spread"]
    assert [f"{tick:g}" for tick in few.get_yticks()] == ["0", "1", "2", "5"]
    assert [text.get_text() for text in few.get_yticklabels()] == ["0", "1", "2", "5"]
    assert many.get_yticklabels()[-1].get_text() == "1,000,000"
    assert few.get_ylim()[1] > 8
    assert many.get_ylim()[1] > 1_234_567
    assert (few.get_ylabel(), drawn["Flagged share by shard"].get_ylabel()) == ("Images", "Shards")
    assert drawn["Flagged share by shard"].xaxis.get_major_formatter()(0.5, 0) == "50%"


@pytest.mark.usefixtures("drawn")
def test_the_box_on_the_heatmaps_is_explained() -> None:
    assert "a white box is around the strongest place" in text_of(make_findings())
    assert "white box" not in text_of(make_findings(strangest=[]))


@pytest.mark.usefixtures("drawn")
def test_shards_without_any_score_have_no_empty_table() -> None:
    assert "Shards with the largest flagged share" in text_of(make_findings())
    assert "Shards with the largest flagged share" not in text_of(make_findings(shards=[]))
