"""The check that a bundle still computes what it computed when it was made: its golden images, scored again."""

import numpy as np

from anomaly.bundle import Contents
from anomaly.config import Precision
from anomaly.errors import CorruptBundleError
from anomaly.inference.engine import Terms

GOLDEN_TOLERANCE = {Precision.FP32: 1e-4, Precision.BF16: 0.1}  # a step of a sure logit is 6 % of −log D


def check_goldens(contents: Contents, terms: Terms, bundle: str) -> None:
    """Check the terms that an engine found for the goldens: relative to their size, and to their spread.

    `bundle` is what the message calls it.

    Raises:
        CorruptBundleError: they are not those that were stored.
    """
    manifest, golden = contents.manifest, contents.golden
    if set(terms) != set(manifest.terms):
        raise CorruptBundleError(
            f"{bundle} is corrupt: its networks give the terms {', '.join(terms)}, "
            f"its manifest names {', '.join(manifest.terms)}"
        )
    found = np.stack([terms[name] for name in manifest.terms], axis=1)
    differences = np.abs(found - golden.terms)
    tolerance = GOLDEN_TOLERANCE[manifest.recipe.score.precision]
    if not (differences <= tolerance * (np.abs(golden.terms) + contents.statistics.std)).all():
        worst = float(np.max(differences))
        raise CorruptBundleError(
            f"{bundle} scores its golden images differently here (by up to {worst:.2g}); "
            "its weights and its manifest do not belong together, or this machine computes wrongly"
        )
