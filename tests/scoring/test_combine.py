import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anomaly.config import Method, Precision, Recipe, ScoreConfig
from anomaly.scoring import TermStatistics
from anomaly.scoring import combine as combine_by
from anomaly.scoring.combine import FloatArray
from anomaly.scoring.terms import cross_entropy

NAMES = ("residual", "feature_matching", "cross_entropy")
MAHALANOBIS, PAPER = ScoreConfig(combine="mahalanobis"), ScoreConfig(combine="paper", feature_weight=0.1)


def combine(terms: dict[str, FloatArray], statistics: TermStatistics, config: ScoreConfig) -> FloatArray:
    auxiliary = {"rotation": config.combine == "auxiliary"}
    return combine_by(terms, statistics, Recipe.model_validate({"score": config, "auxiliary": auxiliary}))


def normal_terms(n: int, *, seed: int = 0) -> dict[str, FloatArray]:
    """Correlated, of very different sizes, as terms are."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=n)
    spreads = {"residual": 8.0, "feature_matching": 90.0, "cross_entropy": 0.02}
    return {name: spread * (5 + common + 0.5 * rng.normal(size=n)) for name, spread in spreads.items()}


def rows(table: FloatArray) -> dict[str, FloatArray]:
    return dict(zip(NAMES, table.T, strict=True))


STATISTICS = TermStatistics.fit(normal_terms(200))
DIRECTIONS = hnp.arrays(np.float64, 3, elements=st.floats(0.05, 5))


def test_the_distance_is_that_of_the_shrunk_covariance() -> None:
    terms = normal_terms(5, seed=1)
    covariance = np.linalg.inv(STATISTICS.inverse_covariance)
    expected = []
    for i in range(5):
        v = np.array([(terms[name][i] - STATISTICS.mean[j]) / STATISTICS.std[j] for j, name in enumerate(NAMES)])
        expected.append(float(v @ np.linalg.solve(covariance, v)) ** 0.5)
    np.testing.assert_allclose(combine(terms, STATISTICS, MAHALANOBIS), expected)


def test_statistics_are_those_of_the_normals() -> None:
    terms = normal_terms(200)
    table = np.stack([terms[name] for name in NAMES], axis=1)
    assert STATISTICS.names == NAMES
    np.testing.assert_allclose(STATISTICS.mean, table.mean(axis=0))
    np.testing.assert_allclose(STATISTICS.std, table.std(axis=0))
    correlation = np.corrcoef(table.T)
    np.testing.assert_allclose(np.linalg.inv(STATISTICS.inverse_covariance), correlation, atol=0.05)


def test_a_standardised_term_is_told_by_its_name_in_deviations_above_the_normals() -> None:
    found = STATISTICS.standardise({name: values[:7] for name, values in reversed(normal_terms(200).items())})
    assert tuple(found) == NAMES
    for i, name in enumerate(NAMES):
        np.testing.assert_allclose(found[name] * STATISTICS.std[i] + STATISTICS.mean[i], normal_terms(200)[name][:7])


@pytest.mark.parametrize("logit", [0.5, 3.0, 6.0, 10.0])
def test_a_step_of_the_precision_is_little_evidence_where_normals_agree(logit: float) -> None:
    """Normals that all have one bf16 logit must not make its neighbour strange."""
    logits = torch.tensor([logit, torch.nextafter(torch.tensor(logit).bfloat16(), torch.tensor(0.0).bfloat16()).item()])
    same, next_one = cross_entropy(logits).double().numpy()
    normals = {"residual": np.random.default_rng(0).normal(50, 5, 100), "cross_entropy": np.full(100, same)}
    stepped = {"residual": np.array([50.0]), "cross_entropy": np.array([next_one])}
    assert combine(stepped, TermStatistics.fit(normals), MAHALANOBIS).item() > 50 or same < 1e-4
    assert combine(stepped, TermStatistics.fit(normals, Precision.BF16), MAHALANOBIS).item() < 3


def test_the_mean_itself_has_no_distance_and_normals_about_the_root_of_the_number_of_terms() -> None:
    assert combine(rows(STATISTICS.mean[None]), STATISTICS, MAHALANOBIS).item() == 0
    squares = combine(normal_terms(2000, seed=2), STATISTICS, MAHALANOBIS) ** 2
    assert squares.mean() == pytest.approx(3, rel=0.15)


@given(DIRECTIONS, st.floats(0, 20), st.floats(0.01, 20))
def test_law_1_all_terms_further_above_the_mean_by_the_same_factor_score_higher(
    direction: FloatArray, near: float, more: float
) -> None:
    """On each ray that leaves the mean, the Mahalanobis distance grows with the way gone.

    It need not where one correlated term grows alone: the others then catch it up.
    """
    table = STATISTICS.mean + np.array([[near], [near + more]]) * direction * STATISTICS.std
    close, far = combine(rows(table), STATISTICS, MAHALANOBIS)
    assert far > close
    assert far * near == pytest.approx(close * (near + more), rel=1e-6)


@given(hnp.arrays(np.float64, (2, 3), elements=st.floats(0, 1e4)), st.floats(0, 1))
def test_law_1_more_residual_or_more_feature_difference_is_a_higher_score_in_the_paper(
    table: FloatArray, weight: float
) -> None:
    low, high = rows(np.minimum(*table)[None]), rows(np.maximum(*table)[None])
    config = ScoreConfig(combine="paper", feature_weight=weight)
    assert combine(high, STATISTICS, config) >= combine(low, STATISTICS, config)
    expected = (1 - weight) * high["residual"] + weight * high["feature_matching"]
    np.testing.assert_allclose(combine(high, STATISTICS, config), expected)


@given(st.permutations(range(12)), st.integers(1, 12), st.sampled_from([MAHALANOBIS, PAPER]))
def test_law_4_a_score_does_not_depend_on_what_else_is_scored(
    order: list[int], num_kept: int, config: ScoreConfig
) -> None:
    terms = normal_terms(12, seed=3)
    chosen = {name: values[order[:num_kept]] for name, values in terms.items()}
    expected = combine(terms, STATISTICS, config)[order[:num_kept]]
    np.testing.assert_allclose(combine(chosen, STATISTICS, config), expected, rtol=1e-12)


@pytest.mark.parametrize("config", [MAHALANOBIS, PAPER])
def test_law_4_scores_are_not_clamped(config: ScoreConfig) -> None:
    far = {name: np.array([1e6, 1e9, 1e12]) for name in NAMES}
    scores = combine(far, STATISTICS, config)
    np.testing.assert_allclose(scores[1:] / scores[:-1], 1000, rtol=0.01)


def test_terms_are_taken_by_name_not_by_place() -> None:
    terms = normal_terms(4)
    turned = {name: terms[name] for name in reversed(NAMES)}
    np.testing.assert_array_equal(combine(turned, STATISTICS, MAHALANOBIS), combine(terms, STATISTICS, MAHALANOBIS))


@given(st.floats(-1e5, 1e5), st.integers(3, 40))
def test_a_term_on_which_all_normals_agree_does_not_turn_rounding_into_evidence(constant: float, n: int) -> None:
    terms = normal_terms(n) | {"cross_entropy": np.full(n, constant)}
    statistics = TermStatistics.fit(terms)
    rounded = terms | {"cross_entropy": np.float32(constant) * np.ones(n) * (1 + 2.0**-23)}
    scores = combine(terms, statistics, MAHALANOBIS)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(combine(rounded, statistics, MAHALANOBIS), scores, atol=0.2)


def test_a_term_that_is_0_for_few_normals_is_not_extreme_where_it_is_a_little_more() -> None:
    terms = normal_terms(5) | {"cross_entropy": np.zeros(5)}
    plain, bounded = (TermStatistics.fit(terms, least_std=least) for least in ({}, {"cross_entropy": 3.0}))
    assert plain.std[2] < 1e-5
    assert bounded.std[2] == 3.0
    np.testing.assert_array_equal(bounded.std[:2], plain.std[:2])


def test_normals_that_agree_on_everything_still_tell_others_apart() -> None:
    """As they do when the images are copies of one."""
    statistics = TermStatistics.fit({name: np.full(5, 3.0) for name in NAMES})
    same, other, further = combine({name: np.array([3.0, 4.0, 5.0]) for name in NAMES}, statistics, MAHALANOBIS)
    assert same < other < further


@given(st.integers(2, 6), st.integers(0, 100))
def test_fewer_images_than_terms_ask_for_are_enough(n: int, seed: int) -> None:
    terms = normal_terms(n, seed=seed)
    statistics = TermStatistics.fit(terms)
    assert np.isfinite(statistics.inverse_covariance).all()
    assert (np.linalg.eigvalsh(statistics.inverse_covariance) > 0).all()


@pytest.mark.parametrize(
    ("method", "objective", "expected"),
    [
        (Method.AUTOENCODER, None, 10.0),
        (Method.F_ANOGAN, None, 0.5),
        (Method.ALAD, None, 20.0),
        (Method.BIGAN, None, 0.9 * 10 + 0.1 * 20),
        (Method.ANOGAN, "feature-matching", 0.9 * 10 + 0.1 * 20),
        (Method.ANOGAN, "cross-entropy", 0.9 * 10 + 0.1 * 3),
        (Method.ANOGAN, "saturating", 0.9 * 10 + 0.1 * -4),
    ],
)
def test_each_papers_score(method: Method, objective: str | None, expected: float) -> None:
    terms = {"residual": 10.0, "feature_matching": 20.0, "cross_entropy": 3.0, "saturating": -4.0, "izi_f": 0.5}
    sections = {"training": {"method": method}, "score": {"combine": "paper", "feature_weight": 0.1}}
    search = {} if objective is None else {"search": {"objective": objective}}
    recipe = Recipe.model_validate(sections | search)
    score = combine_by({name: np.array([term]) for name, term in terms.items()}, STATISTICS, recipe)
    assert score.item() == pytest.approx(expected)


AUXILIARY = ScoreConfig(combine="auxiliary")
AUXILIARY_NORMALS = normal_terms(300) | {"rotation": np.random.default_rng(4).gamma(2.0, 0.2, 300)}
AUXILIARY_STATISTICS = TermStatistics.fit(AUXILIARY_NORMALS)


def test_auxiliary_terms_make_the_score_and_all_terms_a_tenth_of_their_distance() -> None:
    table = {name: values[:5] for name, values in AUXILIARY_NORMALS.items()}
    doubt = (table["rotation"] - AUXILIARY_NORMALS["rotation"].mean()) / AUXILIARY_NORMALS["rotation"].std()
    expected = doubt + 0.1 * combine(table, AUXILIARY_STATISTICS, MAHALANOBIS)
    np.testing.assert_allclose(combine(table, AUXILIARY_STATISTICS, AUXILIARY), expected, rtol=1e-4)


def test_several_auxiliary_terms_count_alike() -> None:
    normals = AUXILIARY_NORMALS | {"synthetic_defects": 5 * np.random.default_rng(5).normal(size=300)}
    statistics = TermStatistics.fit(normals)
    table = {name: values[:2] for name, values in normals.items()}
    more = [table | {name: table[name] + 2 * normals[name].std()} for name in ("rotation", "synthetic_defects")]
    rotation, defects = (statistics.auxiliary_excess(terms) for terms in more)
    np.testing.assert_allclose(rotation, defects, rtol=1e-4)


def test_an_auxiliary_term_below_the_normals_is_no_evidence() -> None:
    mean = dict(zip(AUXILIARY_STATISTICS.names, AUXILIARY_STATISTICS.mean[:, None], strict=True))
    sure, unsure = (mean | {"rotation": mean["rotation"] + shift} for shift in (-0.2, 0.2))
    low, zero, high = (combine(terms, AUXILIARY_STATISTICS, AUXILIARY).item() for terms in (sure, mean, unsure))
    assert low < zero < high
