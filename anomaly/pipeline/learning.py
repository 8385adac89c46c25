"""Which way of learning a recipe asks for, with the engines that it needs."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from anomaly.bundle import Contents
from anomaly.config import Recipe
from anomaly.inference.phi_features import phi_features
from anomaly.inference.torch_engine import TorchEngine, place_engine
from anomaly.networks.pretrained import load_pretrained
from anomaly.pipeline.normals import Normals
from anomaly.training import Checkpoint, LearnWatch, Ranks, learn, learn_places


def learn_by(
    recipe: Recipe,
    normals: Normals,
    *,
    device: torch.device,
    checkpoint: Checkpoint,
    decoder: Mapping[str, Tensor] | None,
    ranks: Ranks,
    watch: LearnWatch,
) -> Contents:
    """See `learn` and `learn_places`, which has no checkpoint: it takes minutes."""
    pixels, split, record = normals.store.pixels, normals.split, normals.record
    if recipe.has_generator:
        return learn(
            np.asarray(pixels),
            split,
            recipe,
            record,
            observer=TorchEngine,
            device=device,
            checkpoint=checkpoint,
            decoder=decoder,
            ranks=ranks,
            watch=watch,
        )
    watch.on_progress("Preparing the pretrained network", 0, None)
    extract = phi_features(recipe.preprocess.channels, with_half=recipe.features.half_restorer)
    return learn_places(
        pixels,
        split,
        recipe,
        record,
        phi=load_pretrained(),
        extract=extract,
        observer=partial(
            place_engine,
            extract=extract if device.type == "cpu" else None,
            has_region=recipe.preprocess.region is not None,
        ),
        device=device,
        ranks=ranks,
        watch=watch,
    )
