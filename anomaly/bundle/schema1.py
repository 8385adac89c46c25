"""Reads bundles of schema 1 as if they were of today's schema, by renaming what had other names.

Schema 1 had the sections of the recipe side by side in the manifest, other names for the auxiliary discriminators and
their terms, and the keys of all images without the set that each was in.
"""

from typing import Any

import numpy as np

from anomaly.bundle.manifest import SCHEMA_VERSION
from anomaly.bundle.normals import NormalSet
from anomaly.bundle.weights import Arrays
from anomaly.config import NetworkConfig

_TERMS = {"patch_peak": "synthetic_defects", "turn_doubt": "rotation"}
_CURVES = {
    "loss_patch": "loss_synthetic_defects",
    "grad_patch": "grad_synthetic_defects",
    "loss_turn": "loss_rotation",
    "grad_turn": "grad_rotation",
}
_WEIGHTS = {
    "D_patch.": "auxiliaries.synthetic_defects.discriminator.",
    "memory.": "auxiliaries.synthetic_defects.memory_bank.",
    "D_turn.": "auxiliaries.rotation.discriminator.",
}


def manifest_of(stored: dict[str, Any]) -> dict[str, Any]:
    """The fields of today's manifest. Raises KeyError for one that is missing, ValueError for parts that do not fit."""
    network, preprocess, score = stored["network"], stored["preprocess"], dict(stored["score"])
    if any(network[name] != preprocess[name] for name in ("size", "channels")):
        raise ValueError("preprocess and network are for images of different shapes")
    if score["combine"] == "taught":
        score["combine"] = "auxiliary"
    score |= {"feature_layer": stored["feature_layer"], "precision": stored.get("precision", "fp32")}
    recipe = {
        "preprocess": preprocess,
        "network": {name: network[name] for name in NetworkConfig.model_fields if name in network},
        "auxiliary": {
            "synthetic_defects": network.get("patch_discriminator", False),
            "memory_bank": network.get("num_remembered", 0),
            "rotation": network.get("turn_discriminator", False),
        },
        "training": stored["training"],
        "search": stored["search"],
        "score": score,
    }
    moved = {"preprocess", "network", "training", "search", "score", "feature_layer", "precision", "method"}
    kept = {name: value for name, value in stored.items() if name not in moved}
    return kept | {
        "schema_version": SCHEMA_VERSION,
        "recipe": recipe,
        "terms": [_TERMS.get(term, term) for term in stored["terms"]],
        "metrics": curves_of(stored["metrics"]),
        "command": f"{stored['command']}  # with the options of its time",
    }


def weights_of(stored: Arrays) -> Arrays:
    """By today's names."""
    return {_renamed(name): array for name, array in stored.items()}


def calibration_of(stored: Arrays) -> Arrays:
    """By today's names; the sets of the images are not known."""
    renamed = {"term_precision": "term_inverse_covariance", "seen": "normal_keys"}
    arrays = {renamed.get(name, name): array for name, array in stored.items()}
    return arrays | {"normal_sets": np.full(len(stored["seen"]), NormalSet.UNKNOWN, np.uint8)}


def curves_of(row: dict[str, float]) -> dict[str, float]:
    """A row of the curves by today's names."""
    return {_CURVES.get(name, name): value for name, value in row.items()}


def _renamed(name: str) -> str:
    return next((new + name.removeprefix(old) for old, new in _WEIGHTS.items() if name.startswith(old)), name)
