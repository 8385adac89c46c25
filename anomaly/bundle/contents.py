"""What a bundle holds, as arrays in memory and as the bytes of its files.

No pickle anywhere: arrays are safetensors, the manifest is JSON, the curves are CSV.
"""

import csv
import io
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from anomaly.bundle import schema1
from anomaly.bundle.card import model_card
from anomaly.bundle.layout import CALIBRATION, CARD, EVIDENCE, GOLDEN, HISTORY, MANIFEST, WEIGHTS
from anomaly.bundle.manifest import SCHEMA_VERSION, Manifest
from anomaly.bundle.normals import NormalRecord
from anomaly.bundle.weights import Arrays, to_bytes
from anomaly.calibration import Calibration
from anomaly.config import Resize, feature_names
from anomaly.scoring import MapScale, TermStatistics, combine

_SAME = 1e-4  # of a golden's score and of the calibration scores' spread: more than machines round differently


@dataclass(frozen=True)
class Golden:
    """A few images and what the bundle made of them: the check that it still does. Of whole pictures they are crops.

    Shapes: pixels (n, c, h, w) uint8; z_hat (n, latent_dim) float32; terms (n, num_terms); scores (n,).
    """

    pixels: NDArray[np.uint8]
    z_hat: NDArray[np.float32]
    terms: NDArray[np.float64]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class StoredGraph:
    """The evidence graph as ONNX, and the bytes of `weights.safetensors`, in which its initialisers lie."""

    onnx: bytes = field(repr=False)
    weights: bytes = field(repr=False)


@dataclass(frozen=True)
class Contents:
    """Everything a bundle holds.

    `weights` is a state dict; `normals` has every image that made the bundle, so that later versions do not use them as
    new ones; `history` has the rows of the training curves. `graph` is None where only torch can compute the evidence
    (see `Recipe.needs_torch`), and in bundles of older schemas. Where there is one, its weights are what is written:
    who changes `weights` has the graph made again.
    """

    manifest: Manifest
    weights: Arrays = field(repr=False)
    calibration: Calibration = field(repr=False)
    statistics: TermStatistics = field(repr=False)
    map_scale: MapScale = field(repr=False)
    golden: Golden = field(repr=False)
    normals: NormalRecord = field(repr=False)
    history: list[dict[str, float]] = field(repr=False)
    graph: StoredGraph | None = field(default=None, repr=False)


def to_files(contents: Contents, *, name: str, version: int) -> dict[str, bytes]:
    """Every file but SHA256SUMS; `name` and `version` are for the card."""
    calibration: Arrays = {
        "scores": contents.calibration.scores,
        "term_mean": contents.statistics.mean,
        "term_std": contents.statistics.std,
        "term_inverse_covariance": contents.statistics.inverse_covariance,
        "map_layers": contents.map_scale.layers,
        "map_peak": contents.map_scale.peak,
        "normal_keys": contents.normals.keys,
        "normal_sets": contents.normals.sets,
        **({"normal_parts": contents.normals.parts} if contents.normals.parts.any() else {}),
    }
    golden = contents.golden
    goldens: Arrays = {
        "pixels": golden.pixels,
        "z_hat": golden.z_hat,
        "terms": golden.terms,
        "scores": golden.scores,
    }
    graph = contents.graph
    assert (graph is None) == (contents.manifest.recipe.needs_torch is not None), "its evidence graph was not made"
    return {
        MANIFEST: (contents.manifest.model_dump_json(indent=2) + "\n").encode(),
        WEIGHTS: graph.weights if graph else to_bytes(contents.weights),
        CALIBRATION: to_bytes(calibration),
        GOLDEN: to_bytes(goldens),
        HISTORY: _history_csv(contents.history),
        CARD: model_card(contents.manifest, contents.calibration, name=name, version=version).encode(),
        **({EVIDENCE: graph.onnx} if graph else {}),
    }


def from_files(files: dict[str, bytes]) -> Contents:
    """The contents that files hold, checked: schema, shapes, finite numbers. Older schemas are mapped to today's.

    Raises:
        ValueError, KeyError, TypeError, SafetensorError, csv.Error: the files are not those of such a bundle.
    """
    stored = json.loads(files[MANIFEST])
    schema_version = stored["schema_version"]
    weights, calibration = safetensors.numpy.load(files[WEIGHTS]), safetensors.numpy.load(files[CALIBRATION])
    golden = safetensors.numpy.load(files[GOLDEN])
    rows = csv.DictReader(io.StringIO(files[HISTORY].decode()))
    history = [{name: float(value) for name, value in row.items() if value != ""} for row in rows]
    if schema_version == 1:
        weights, calibration = schema1.weights_of(weights), schema1.calibration_of(calibration)
        history = [schema1.curves_of(row) for row in history]
    manifest = Manifest.model_validate(_todays_manifest(stored))
    contents = Contents(
        manifest=manifest,
        weights=weights,
        calibration=Calibration(calibration["scores"]),
        statistics=TermStatistics(
            tuple(manifest.terms),
            calibration["term_mean"],
            calibration["term_std"],
            calibration["term_inverse_covariance"],
        ),
        map_scale=MapScale(calibration["map_layers"], calibration["map_peak"]),
        golden=Golden(golden["pixels"], golden["z_hat"], golden["terms"], golden["scores"]),
        normals=NormalRecord(
            calibration["normal_keys"],
            calibration["normal_sets"],
            calibration.get("normal_parts", np.zeros(len(calibration["normal_keys"]), np.uint64)),
        ),
        history=history,
        graph=StoredGraph(files[EVIDENCE], files[WEIGHTS]) if EVIDENCE in files else None,
    )
    has_graph = schema_version == SCHEMA_VERSION and manifest.recipe.needs_torch is None
    if (contents.graph is not None) != has_graph:
        raise ValueError(f"{EVIDENCE} is {'missing' if has_graph else 'of no use to this recipe or schema'}")
    _check_manifest(manifest)
    _check_arrays(contents)
    _check_decisions(contents)
    return contents


def _todays_manifest(stored: dict[str, Any]) -> dict[str, Any]:
    """What a manifest of any schema says, as today's would."""
    schema_version = stored["schema_version"]
    manifest = schema1.manifest_of(stored) if schema_version == 1 else dict(stored)
    if schema_version == 2:  # which had no evidence graph, and was the same otherwise
        manifest["schema_version"] = SCHEMA_VERSION
    if search := manifest["recipe"].get("search"):
        search.setdefault("pairs", False)  # the field is of 0.3.1, and what was made before searches as it did
    return manifest


def _check_manifest(manifest: Manifest) -> None:
    """Its parts must belong together."""
    recipe = manifest.recipe
    layers, layer = feature_names(recipe.plan) if recipe.has_generator else [], recipe.score.feature_layer
    if (layer not in layers) if layers else layer is not None:
        raise ValueError(f"feature_layer {layer} is none of {', '.join(layers) or 'no layers'}")


def _check_arrays(contents: Contents) -> None:
    """Shapes and finite numbers; whether the networks are those of the manifest is found when they are loaded."""
    manifest, statistics, golden = contents.manifest, contents.statistics, contents.golden
    recipe, num_terms, num_golden = manifest.recipe, len(manifest.terms), len(golden.scores)
    size = recipe.preprocess.size
    is_whole = recipe.preprocess.resize is Resize.WHOLE
    sides = golden.pixels.shape[2:] if is_whole else (size, size)
    num_normals = len(contents.normals.keys)
    shapes: dict[str, tuple[NDArray[np.generic], tuple[int, ...]]] = {
        "calibration scores": (contents.calibration.scores, (manifest.data.num_calibrate,)),
        "term_mean": (statistics.mean, (num_terms,)),
        "term_std": (statistics.std, (num_terms,)),
        "term_inverse_covariance": (statistics.inverse_covariance, (num_terms, num_terms)),
        "map_layers": (contents.map_scale.layers, (max(contents.map_scale.layers.size, 1),)),  # the engine knows them
        "map_peak": (contents.map_scale.peak, (1,)),
        "normal_keys": (contents.normals.keys, (num_normals,)),
        "normal_sets": (contents.normals.sets, (num_normals,)),
        "normal_parts": (contents.normals.parts, (num_normals,)),
        "golden pixels": (golden.pixels, (num_golden, recipe.preprocess.channels, *sides)),
        "golden z_hat": (golden.z_hat, (num_golden, recipe.network.latent_dim if recipe.has_generator else 0)),
        "golden terms": (golden.terms, (num_golden, num_terms)),
        "golden scores": (golden.scores, (num_golden,)),
    }
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise ValueError(f"{name} are of shape {array.shape}, expected {shape}")
    if not num_golden:
        raise ValueError("there are no golden images")
    for name, array in {**contents.weights, **{name: array for name, (array, _) in shapes.items()}}.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} are not all finite")


def _check_decisions(contents: Contents) -> None:
    """What makes scores and p-values of the terms: the engines' check of the goldens sees the terms alone."""
    statistics, golden, ranked = contents.statistics, contents.golden, contents.calibration.scores
    layers, peak = contents.map_scale.layers, contents.map_scale.peak
    scales: dict[str, NDArray[np.floating]] = {"term_std": statistics.std, "map_layers": layers, "map_peak": peak}
    for name, array in scales.items():
        if not (array > 0).all():
            raise ValueError(f"{name} are not all above 0")
    if (np.diff(ranked) < 0).any():
        raise ValueError("calibration scores are not ascending")
    terms = dict(zip(contents.manifest.terms, golden.terms.T, strict=True))
    scores = combine(terms, statistics, contents.manifest.recipe)
    if not (np.abs(scores - golden.scores) <= _SAME * (np.abs(golden.scores) + ranked.std())).all():
        raise ValueError(
            "its golden images do not have the scores that score.combine and the statistics make of their terms"
        )


def _history_csv(history: list[dict[str, float]]) -> bytes:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in history for name in row)) or ["step"]
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: int(value) if float(value).is_integer() else value for name, value in row.items()} for row in history
    )
    return text.getvalue().encode()
