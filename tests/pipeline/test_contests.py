"""Which recipe is named."""

import pytest

from anomaly.pipeline.contests import ContestOutcome, Trial, TrialFigures, TrialSummary

CERTAIN = {(later, earlier): (0.001, 1.0) for later in range(4) for earlier in range(later)}
"""All leads are beyond chance."""


def tried(name: str, auroc: float | None, drawn: float = 0.5, moved: float = 0.5) -> Trial:
    if auroc is None:
        return Trial(name, None, "it cannot be tried")
    return Trial(name, TrialFigures(auroc, (0.0, 1.0), drawn, moved, train_s=1.0, score_ms=1.0, is_cut_short=False))


@pytest.mark.parametrize(("num_judged", "expected"), [(5, "a"), (20, "c"), (200, "d")])
def test_the_first_is_named_unless_a_later_one_is_clearly_better(num_judged: int, expected: str) -> None:
    """Of 5 normals one changes 20 points, of 20 five, of 200 half a point."""
    trials = (tried("a", 0.7), tried("b", None), tried("c", 0.8), tried("d", 0.82))
    best = TrialSummary(trials, 20, num_judged, CERTAIN).best
    assert best is not None
    assert best.name == expected


def test_parts_count_and_not_their_pictures_where_they_are_known() -> None:
    """Of 5 parts one changes 20 points, however many pictures they have."""
    trials = (tried("a", 0.7), tried("c", 0.8))
    named = [TrialSummary(trials, 20, 50, CERTAIN, num_parts).best for num_parts in (None, 50, 5)]
    assert [best and best.name for best in named] == ["c", "c", "a"]


@pytest.mark.parametrize(
    ("drawn", "moved", "expected"),
    [(0.9, 0.9, "later"), (0.99, 0.78, "first"), (0.68, 0.99, "first"), (0.99, 0.795, "later"), (0.7, 0.8, "first")],
)
def test_a_later_one_that_is_worse_by_one_way_of_spoiling_is_not_named(
    drawn: float, moved: float, expected: str
) -> None:
    """The first tells drawn defects at 70 % and parts at a wrong place at 80 %, by 100 normals."""
    trials = (tried("first", 0.75, 0.7, 0.8), tried("later", (drawn + moved) / 2, drawn, moved))
    best = TrialSummary(trials, 20, 100, CERTAIN).best
    assert best is not None
    assert best.name == expected


def test_none_is_named_where_all_failed() -> None:
    assert TrialSummary((tried("b", None),), 20, 5, {}).best is None


@pytest.mark.parametrize(("low", "expected"), [(-0.02, "first"), (0.0, "first"), (0.001, "later")])
def test_a_later_one_is_not_named_where_chance_explains_its_lead(low: float, expected: str) -> None:
    trials = (tried("first", 0.7), tried("later", 0.8))
    best = TrialSummary(trials, 20, 60, {(1, 0): (low, 0.2)}).best
    assert best is not None
    assert best.name == expected


def test_each_later_one_is_held_against_the_best_before_it() -> None:
    trials = (tried("a", 0.7), tried("b", 0.8), tried("c", None), tried("d", 0.9), tried("e", 0.805))
    leads = {(1, 0): (0.01, 0.2), (3, 0): (0.1, 0.3), (3, 1): (-0.01, 0.2), (4, 1): (0.001, 0.01), (4, 3): (-1.0, -0.1)}
    summary = TrialSummary(trials, 20, 60, leads)
    assert [(each.later.name, each.best.name, each.outcome) for each in summary.contests] == [
        ("b", "a", ContestOutcome.BETTER),
        ("d", "b", ContestOutcome.BY_CHANCE),
        ("e", "b", ContestOutcome.NOT_CLEARLY),
    ]
    assert [each.interval for each in summary.contests] == [(0.01, 0.2), (-0.01, 0.2), (0.001, 0.01)]
    assert summary.contests[0].lead == pytest.approx(0.1)
    assert summary.best is trials[1]


@pytest.mark.parametrize(
    ("high", "outcome"),
    [(-0.001, ContestOutcome.WORSE), (0.0, ContestOutcome.NOT_CLEARLY)],
    ids=["beyond chance", "not"],
)
def test_a_later_one_that_is_worse_beyond_chance_is_called_so(high: float, outcome: ContestOutcome) -> None:
    trials = (tried("first", 0.8), tried("later", 0.7))
    (contest,) = TrialSummary(trials, 20, 60, {(1, 0): (-0.2, high)}).contests
    assert contest.outcome is outcome
