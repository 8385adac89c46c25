"""From a folder to a detector that is known to work: sums, schema, shapes, and the goldens scored again."""

from pathlib import Path

import numpy as np
import torch

from anomaly.bundle import Bundle, load
from anomaly.config import NetworkPlan, Precision
from anomaly.errors import CorruptBundleError
from anomaly.inference.detector import Detector
from anomaly.inference.observer import Observer
from anomaly.networks import Networks
from anomaly.runtime import resolve_device

GOLDEN_TOLERANCE = {Precision.FP32: 1e-4, Precision.BF16: 0.1}  # a step of a sure logit is 6 % of −log D


def load_detector(model: str | Path, *, device: str = "auto") -> Detector:
    """Load and verify MODEL, a bundle's name directory (its current version) or a version directory.

    Raises:
        BundleNotFoundError: there is no bundle.
        CorruptBundleError: its files differ from what was written, or it scores its golden images differently.
        DeviceError: the device is not there.
    """
    bundle = load(Path(model))
    recipe = bundle.manifest.recipe
    observer = Observer(_networks(bundle, recipe.plan), recipe, resolve_device(device))
    _check_goldens(bundle, observer)
    return Detector(bundle, observer)


def _networks(bundle: Bundle, plan: NetworkPlan) -> Networks:
    networks = Networks(plan)
    weights = {name: torch.from_numpy(np.array(array)) for name, array in bundle.contents.weights.items()}
    try:
        networks.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CorruptBundleError(
            f"the bundle {bundle.ref.path} is corrupt: its weights do not fit its manifest ({first})"
        ) from error
    return networks


def _check_goldens(bundle: Bundle, observer: Observer) -> None:
    """The terms must be those that were stored, relative to their size and to their spread.

    Where an encoder finds latents it is run too; where a search does, they are judged at the stored ones.
    """
    golden = bundle.contents.golden
    if bundle.manifest.recipe.search is None:
        terms, _ = observer.observe(golden.pixels)
    else:
        terms = observer.terms_at(golden.pixels, golden.z_hat)
    if set(terms) != set(bundle.manifest.terms):
        raise CorruptBundleError(
            f"the bundle {bundle.ref.path} is corrupt: its networks give the terms {', '.join(terms)}, "
            f"its manifest names {', '.join(bundle.manifest.terms)}"
        )
    found = np.stack([terms[name] for name in bundle.manifest.terms], axis=1)
    differences = np.abs(found - golden.terms)
    allowed = GOLDEN_TOLERANCE[bundle.manifest.recipe.score.precision] * (
        np.abs(golden.terms) + bundle.contents.statistics.std
    )
    if not (differences <= allowed).all():
        worst = float(np.max(differences))
        raise CorruptBundleError(
            f"the bundle {bundle.ref.path} scores its golden images differently here (by up to {worst:.2g}); "
            "its weights and its manifest do not belong together, or this machine computes wrongly"
        )
