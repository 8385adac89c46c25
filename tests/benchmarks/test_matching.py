"""The three figures of a line: without φ's terms, with them, and A(x) of the layer."""

import numpy as np
import pytest

from benchmarks.matching import aurocs

LABELS = np.repeat([False, True], 50)


@pytest.mark.parametrize("first", ["conv3", "phi_8"])
def test_the_terms_of_phi_are_left_away_and_taken_whatever_they_are_called(first: str) -> None:
    """`feature_matching` is of the first layer. φ's terms alone tell the classes here; D's tell them the other way."""
    rng = np.random.default_rng(0)

    def terms(labels: np.ndarray) -> dict[str, np.ndarray]:
        by_phi, by_d = 500.0 * labels + rng.normal(size=len(labels)), -200.0 * labels + rng.normal(size=len(labels))
        noise = rng.normal(size=len(labels))
        other = "phi_8" if first == "conv3" else "conv3"
        f, rest = (by_phi, 0 * noise) if first == "phi_8" else (by_d, by_phi)
        return {"residual": noise, "feature_matching": f, f"feature_matching_{other}": rest}

    select, judged = terms(np.zeros(60)), terms(LABELS.astype(float))
    without, with_phi, score = aurocs(select, judged, LABELS, first, first)
    assert with_phi == 1.0
    assert score == (1.0 if first == "phi_8" else 0.0)
    assert (without == 1.0) == (first == "conv3")  # by D's, whose distance from normals tells them
    if first == "conv3":
        assert aurocs(select, judged, LABELS, "phi_8", first)[2] == 1.0
