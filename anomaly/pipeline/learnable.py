"""Whether a recipe can be learnt by what this run was asked for, before any image is read."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anomaly.bundle import load
from anomaly.config import Precision, Recipe, feature_names
from anomaly.config.mistakes import shortened
from anomaly.config.places import PACKAGE
from anomaly.errors import UsageError
from anomaly.extras import require
from anomaly.networks import Networks
from anomaly.pipeline.ranked import check_batch
from anomaly.pipeline.train_options import TrainOptions
from anomaly.runtime import is_fast_at_bf16
from anomaly.training import Ranks


def check_learnable(recipe: Recipe, options: TrainOptions, ranks: Ranks) -> None:
    """Raises UsageError where the recipe and the run do not fit together."""
    layer, method = recipe.score.feature_layer, recipe.training.method
    names = feature_names(recipe.plan) if recipe.has_generator else []
    if layer is not None and layer not in names:
        there = f"there are {', '.join(names)}" if names else f"{method} has no discriminator"
        raise UsageError(f"score.feature_layer={shortened(layer)}: no such layer has features to match; {there}")
    check_batch(recipe, ranks.size)
    if recipe.features.labelled:
        raise UsageError(
            "features.labelled=true: a training learns from normal images alone; train without it, and teach the model "
            "labelled defects with `anomaly refine`"
        )
    if recipe.has_pretrained:
        require("a recipe with pretrained features", "pretrained", PACKAGE)
    if options.resume and not recipe.has_generator:
        raise UsageError(
            "a recipe with pretrained features alone, such as parts, learns in minutes and keeps no checkpoint; leave "
            "--resume away, and it is trained anew"
        )


def decoder_of(recipe: Recipe, model: Path | None) -> dict[str, Tensor] | None:
    """G's weights of another bundle, to begin with; None without one.

    Raises:
        UsageError: the recipe has no G, or one of other layers.
        BundleError: the bundle cannot be used.
    """
    if model is None:
        return None
    if not recipe.has_generator:
        raise UsageError(f"{recipe.training.method} has no G to begin with a decoder; leave --init-decoder away")
    weights = {
        name.removeprefix("G."): torch.from_numpy(np.array(array))
        for name, array in load(model).contents.weights.items()
        if name.startswith("G.")
    }
    wanted = {name: tensor.shape for name, tensor in Networks(recipe.plan).G.state_dict().items()}
    if wanted != {name: tensor.shape for name, tensor in weights.items()}:
        raise UsageError(
            f"--init-decoder {model}: its decoder has other layers than this G; train both with the same "
            "network.architecture, network.latent_dim, network.width and --size, and the same channels"
        )
    return weights


def precision_note(recipe: Recipe, device: torch.device) -> str | None:
    """The warning where bf16 is asked for of a device that is slow at it."""
    is_asked = Precision.BF16 in (recipe.training.precision, recipe.score.precision)
    if not is_asked or is_fast_at_bf16(device):
        return None
    return (
        f"bf16 is slower than fp32 on this {device.type}, which has no instructions for it; leave training.precision "
        "and score.precision away, unless the bundle is for another machine"
    )
