"""The check of false alarms fails where calibration images were trained on, and passes where they were not."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import guarantees
from benchmarks.parts_tables import false_alarm_interval

PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"


@pytest.mark.parametrize(("shift", "inside"), [(0.0, "yes"), (-3.0, "no")])
def test_calibration_scores_that_were_trained_on_are_found(
    monkeypatch: pytest.MonkeyPatch, shift: float, inside: str
) -> None:
    """Normal test scores are N(0, 1), and those that calibrate are lower by `shift`."""
    rng = np.random.default_rng(2)
    scores = np.sort(rng.normal(shift, 1, 500)), rng.normal(size=400), rng.normal(3, 1, 100)
    monkeypatch.setattr(guarantees, "_scores", lambda folder: scores)
    lines = list(guarantees.false_alarms(Path("elpv-mono-bigan-0")))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [(row[1], row[2], row[3], row[4]) for row in cells] == [
        ("the same", alpha, "500", "400") for alpha in ("0.01", "0.05", "0.1")
    ]
    assert {row[-1] for row in cells} == {inside}


def test_an_alpha_without_a_threshold_has_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.arange(50.0), np.arange(20.0), np.arange(5.0)
    monkeypatch.setattr(guarantees, "_scores", lambda folder: scores)
    (five, ten) = guarantees.false_alarms(Path("cifar10-bigan-cat-0"))
    assert "| another | 0.05 |" in five
    assert "| another | 0.1 |" in ten


def test_the_page_says_of_each_share_whether_it_lies_in_the_interval() -> None:
    """Shares have one digit there: the number of flagged images is the nearest to it."""
    page = PAGE.read_text("utf-8")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:2] == "| "]
    rows = [cells for cells in lines if cells[1] in ("another", "the same")]
    assert len(rows) == 134
    for run, _, alpha, num_calibration, num_normal, flagged, told, inside in rows:
        low, high = false_alarm_interval(float(alpha), int(num_calibration), int(num_normal))
        share = round(float(flagged) / 100 * int(num_normal)) / int(num_normal)
        assert (told, inside) == (f"{100 * low:.1f}–{100 * high:.1f}", "yes" if low <= share <= high else "no"), run
    num_inside = sum(pool == "another" and inside == "yes" for _, pool, *_, inside in rows)
    assert f"{num_inside} of {sum(pool == 'another' for _, pool, *_ in rows)} lie inside" in page


def test_without_runs_no_empty_tables_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["guarantees", "--models", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        guarantees.main()
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "has no run with a report; `python -m benchmarks.one_class` makes one" in printed.err
