"""What contradicts the score is found, and nothing is where there are no terms."""

import numpy as np
import pytest

from anomaly.evaluation.contradictions import TermFound, outlying_term, passed_outliers, shifted_term
from anomaly.scoring import TermStatistics, outlying_above
from anomaly.scoring.combine import OUTLYING
from tests.evaluation.evaluations import make_evaluation


@pytest.mark.parametrize(
    ("standardised", "expected"),
    [
        ({"residual": 6.5, "izi_f": 9.0, "D_xx": -40.0}, TermFound("izi_f", 9.0)),
        ({"residual": 6.0}, None),  # as far as is allowed
        ({"residual": -9.0}, None),  # below normal images is not abnormal
        ({}, None),
    ],
)
def test_the_furthest_term_is_extreme_or_there_is_none(
    standardised: dict[str, float], expected: TermFound | None
) -> None:
    assert outlying_term(standardised, OUTLYING) == expected


@pytest.mark.parametrize("num_select", [3, 4, 7, 15, 60])
def test_ordinary_images_are_seldom_extreme_however_few_normals_tell_what_is_ordinary(num_select: int) -> None:
    """Eight terms, all Gaussian; each is extreme in one image of 10,000 or fewer."""
    num_extreme, num_images = 0, 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        statistics = TermStatistics.fit({f"{i}": 10 + rng.normal(size=num_select) for i in range(8)})
        terms = statistics.standardise({f"{i}": 10 + rng.normal(size=50) for i in range(8)})
        extreme = np.stack(list(terms.values())) > outlying_above(num_select)
        num_extreme += int(extreme.any(axis=0).sum())
        num_images += 50
    assert num_extreme / num_images < 3e-3
    assert outlying_above(1000) == outlying_above(60) == OUTLYING


def test_terms_move_where_most_normals_do() -> None:
    """Neither one normal that is far out nor all anomalies move a term."""
    moved, still = np.zeros(20), np.zeros(20)
    moved[:10], still[0], still[10:] = -2.5, 100.0, 100.0
    assert shifted_term(make_evaluation(standardised={"still": still})) is None
    assert shifted_term(make_evaluation(standardised={"still": still, "moved": moved})) == ("moved", -2.5)


def test_a_few_normals_tell_nothing_of_a_move() -> None:
    labels = np.arange(20) >= 4
    assert shifted_term(make_evaluation(labels=labels, standardised={"moved": np.full(20, 9.0)})) is None
    assert shifted_term(make_evaluation(standardised={})) is None


def test_an_alarm_is_no_contradiction() -> None:
    evaluation = make_evaluation(standardised={"residual": np.full(20, 7.0)})
    passed = {
        path for path, score in zip(evaluation.images.paths, evaluation.images.scores, strict=True) if score <= 0.75
    }
    assert set(passed_outliers(evaluation)) == passed
