"""The check that a bundle still computes what it computed when it was made: its golden images, scored again."""

import numpy as np

from anomaly.bundle import Contents
from anomaly.config import Precision
from anomaly.errors import CorruptBundleError
from anomaly.inference.engine import Terms

GOLDEN_TOLERANCE = {Precision.FP32: 5e-4, Precision.BF16: 0.1}
"""By how much an engine or a machine may round differently, of a term's size and spread.

In fp32 a discriminator of defects that learnt for a minute has shown 2e-4 between torch and ONNX Runtime (AVX-512). In
bf16 a step of a sure logit is 6 % of −log D.
"""


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
    differences[np.isnan(differences)] = np.inf
    allowed = GOLDEN_TOLERANCE[manifest.recipe.score.precision] * (np.abs(golden.terms) + contents.statistics.std)
    if not (differences <= allowed).all():
        image, term = np.unravel_index((differences - allowed).argmax(), differences.shape)
        raise CorruptBundleError(
            f"{bundle} scores its golden images differently here: {manifest.terms[term]} by "
            f"{differences[image, term]:.2g}, where rounding makes at most {allowed[image, term]:.2g}; its weights and "
            "its manifest do not belong together, another version of anomaly made it, or this "
            "machine computes wrongly. Train it again, or go back to the version that made it"
        )
