"""From terms to one score. Higher is more anomalous; the other images being scored never change it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from anomaly.config import AuxiliaryConfig, Method, Precision, Recipe

FloatArray = NDArray[np.float64]
Terms = Mapping[str, FloatArray]

_ROUNDING = {Precision.FP32: 1e-5, Precision.BF16: 3e-2}  # of a term: what sums, batched in another way, differ by
_MIN_ROUNDING = 1e-6
OUTLYING = 6.0
"""Standard deviations above the mean of many normals. A term so far out is extreme, whatever the score made of it."""
_FEW = 1e-4  # how often an ordinary normal image may have a term that far out, where few normals tell what is ordinary
SHARE_OF_ALL = 0.1
"""Of the distance of all terms, in a score by auxiliary discriminators."""


@dataclass(frozen=True)
class TermStatistics:
    """How the terms of the *select* normals are spread: mean and std (num_terms,), and the inverse covariance.

    `inverse_covariance` (num_terms, num_terms) is that of the standardised terms, shrunk towards a multiple of the
    identity by as much as the number of images requires (Ledoit and Wolf 2004). Both spreads include that of rounding.
    Otherwise, where normal images agree on a term, or on a sum of two, rounding would count as evidence.
    """

    names: tuple[str, ...]
    mean: FloatArray
    std: FloatArray
    inverse_covariance: FloatArray

    @classmethod
    def fit(
        cls, terms: Terms, precision: Precision = Precision.FP32, least_std: Mapping[str, float] = MappingProxyType({})
    ) -> "TermStatistics":
        """From the terms (n,) of normal images, by networks that compute in `precision`.

        `least_std` is for terms that may be the same for all of these images, and not for others.
        """
        from sklearn.covariance import LedoitWolf  # here, because it takes a second to import

        table = np.stack(list(terms.values()), axis=1)
        mean = table.mean(axis=0)
        rounding = _ROUNDING[precision] * np.sqrt(np.square(table).mean(axis=0)) + _MIN_ROUNDING
        std = np.maximum(np.hypot(table.std(axis=0), rounding), [least_std.get(name, 0.0) for name in terms])
        covariance = LedoitWolf(assume_centered=True).fit((table - mean) / std).covariance_
        return cls(tuple(terms), mean, std, np.linalg.inv(covariance + np.diag((rounding / std) ** 2)))

    def distance(self, terms: Terms) -> FloatArray:
        """Mahalanobis distance (n,) of images' terms from the normals': √(vᵀ C⁻¹ v), v the standardised terms."""
        v = self._standardise(terms)
        distance: FloatArray = np.sqrt(np.einsum("ni,ij,nj->n", v, self.inverse_covariance, v))
        return distance

    def auxiliary_excess(self, terms: Terms) -> FloatArray:
        """How many standard deviations (n,) above the normals' the auxiliary discriminators' terms lie, on average."""
        excess: FloatArray = self._standardise(terms)[:, auxiliary_columns(self.names)].mean(axis=1)
        return excess

    def standardise(self, terms: Terms) -> dict[str, FloatArray]:
        """How many standard deviations (n,) above the mean of the *select* normals each term lies."""
        return dict(zip(self.names, self._standardise(terms).T, strict=True))

    def _standardise(self, terms: Terms) -> FloatArray:
        table = np.stack([terms[name] for name in self.names], axis=1)
        v: FloatArray = (table - self.mean) / self.std
        return v


def outlying_above(num_normals: int) -> float:
    """How many standard deviations above the mean of so many *select* normals a term is extreme.

    Few normals tell mean and deviation badly. By Student's t, for one more image drawn as they were, it is so far above
    them with a probability of 1 in 10,000; at least `OUTLYING`.
    """
    from scipy.stats import t  # here, because it takes a second to import

    num_normals = max(num_normals, 2)  # of one nothing is known
    more = np.sqrt((num_normals + 1) / (num_normals - 1))  # the deviation is that by 1/n
    return max(OUTLYING, float(more * t.isf(_FEW, num_normals - 1)))


def combine(terms: Terms, statistics: TermStatistics, recipe: Recipe) -> FloatArray:
    """The anomaly score (n,) of images from their terms, in the way the recipe names."""
    match recipe.score.combine:
        case "mahalanobis":
            return statistics.distance(terms)
        case "auxiliary":
            return statistics.auxiliary_excess(terms) + SHARE_OF_ALL * statistics.distance(terms)
        case "paper":
            weighted = [weight * terms[name] for name, weight in paper_weights(recipe).items()]
            return np.asarray(np.sum(weighted, axis=0))
        case "strongest-place":
            return np.asarray(terms["strongest_place"])
        case _:
            assert_never(recipe.score.combine)


def auxiliary_columns(names: Sequence[str]) -> list[int]:
    """Which of the terms are those of auxiliary discriminators."""
    auxiliaries = AuxiliaryConfig.discriminators()
    return [index for index, name in enumerate(names) if name in auxiliaries]


def paper_weights(recipe: Recipe) -> dict[str, float]:
    """The terms whose weighted sum is the score of the method's own paper, with their weights.

    R(x) of the autoencoder, izi_f of f-AnoGAN, F(x) in D_xx of ALAD; A(x) of AnoGAN and BiGAN, as searched.
    """
    match recipe.training.method:
        case Method.AUTOENCODER:
            return {"residual": 1.0}
        case Method.F_ANOGAN:
            return {"izi_f": 1.0}
        case Method.ALAD:
            return {"feature_matching": 1.0}
        case Method.ANOGAN | Method.BIGAN:
            weight = recipe.score.feature_weight
            objective = "feature-matching" if recipe.search is None else recipe.search.objective
            return {"residual": 1.0 - weight, objective.replace("-", "_"): weight}
        case Method.FEATURES:
            raise AssertionError("it has no paper's score")
