"""Coverage of intervals: the bootstrap's is low with few anomalies, today's is not."""

import pytest

from benchmarks import intervals
from benchmarks.intervals import Case, coverage


def test_few_anomalies_are_where_the_bootstrap_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(intervals, "NUM_REDRAWN", 100)
    before, now = coverage(Case(300, 10, 0.95), 100)
    assert before < 0.88
    assert now > 0.92
    monkeypatch.setattr(intervals, "CASES", (Case(20, 5, 0.9, pictures=3, spread=2.0),))
    intervals.main(["--sets", "2"])
    assert "| 20 + 5, 3 pictures of each, anomalies spread 2 times as widely | 0.9 |" in capsys.readouterr().out
