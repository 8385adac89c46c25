"""What a bundle holds, as arrays in memory and as the bytes of its files.

No pickle anywhere: arrays are safetensors, the manifest is JSON, the curves are CSV.
"""

import csv
import io
from dataclasses import dataclass

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from anomaly.bundle.card import model_card
from anomaly.bundle.layout import CALIBRATION, CARD, GOLDEN, HISTORY, MANIFEST, WEIGHTS
from anomaly.bundle.manifest import Manifest
from anomaly.calibration import Calibration
from anomaly.networks import feature_names, num_maps
from anomaly.scoring import MapScale, TermStatistics

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Golden:
    """A few images and what the bundle made of them: the check that it still does.

    Shapes: pixels (n, c, size, size) uint8; z_hat (n, latent_dim) float32; terms (n, num_terms); scores (n,).
    """

    pixels: NDArray[np.uint8]
    z_hat: NDArray[np.float32]
    terms: NDArray[np.float64]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Contents:
    """Everything a bundle holds.

    `weights` is a state dict; `seen` are the keys (see `data.image_keys`) of every image that made the bundle, so that
    none of them is later taken for a new one; `history` are the training curves' rows.
    """

    manifest: Manifest
    weights: Arrays
    calibration: Calibration
    statistics: TermStatistics
    map_scale: MapScale
    golden: Golden
    seen: NDArray[np.uint64]
    history: list[dict[str, float]]


def to_files(contents: Contents, *, name: str, version: int) -> dict[str, bytes]:
    """Every file but SHA256SUMS; `name` and `version` are for the card."""
    calibration: Arrays = {
        "scores": contents.calibration.scores,
        "term_mean": contents.statistics.mean,
        "term_std": contents.statistics.std,
        "term_precision": contents.statistics.precision,
        "map_layers": contents.map_scale.layers,
        "map_peak": contents.map_scale.peak,
        "seen": np.sort(contents.seen),
    }
    golden = contents.golden
    goldens: Arrays = {
        "pixels": golden.pixels,
        "z_hat": golden.z_hat,
        "terms": golden.terms,
        "scores": golden.scores,
    }
    return {
        MANIFEST: (contents.manifest.model_dump_json(indent=2) + "\n").encode(),
        WEIGHTS: safetensors.numpy.save(_contiguous(contents.weights)),
        CALIBRATION: safetensors.numpy.save(_contiguous(calibration)),
        GOLDEN: safetensors.numpy.save(_contiguous(goldens)),
        HISTORY: _history_csv(contents.history),
        CARD: model_card(contents.manifest, contents.calibration, name=name, version=version).encode(),
    }


def from_files(files: dict[str, bytes]) -> Contents:
    """The reverse, checked: schema, shapes, finite numbers.

    Raises:
        ValueError, KeyError, TypeError, SafetensorError, csv.Error: the files are not those of such a bundle.
    """
    manifest = Manifest.model_validate_json(files[MANIFEST])
    calibration = safetensors.numpy.load(files[CALIBRATION])
    golden = safetensors.numpy.load(files[GOLDEN])
    rows = csv.DictReader(io.StringIO(files[HISTORY].decode()))
    contents = Contents(
        manifest=manifest,
        weights=safetensors.numpy.load(files[WEIGHTS]),
        calibration=Calibration(calibration["scores"]),
        statistics=TermStatistics(
            tuple(manifest.terms),
            calibration["term_mean"],
            calibration["term_std"],
            calibration["term_precision"],
        ),
        map_scale=MapScale(calibration["map_layers"], calibration["map_peak"]),
        golden=Golden(golden["pixels"], golden["z_hat"], golden["terms"], golden["scores"]),
        seen=calibration["seen"],
        history=[{name: float(value) for name, value in row.items() if value != ""} for row in rows],
    )
    _check_manifest(manifest)
    _check_arrays(contents)
    return contents


def _check_manifest(manifest: Manifest) -> None:
    """Its parts must belong together."""
    preprocess, network = manifest.preprocess, manifest.network
    if (preprocess.size, preprocess.channels) != (network.size, network.channels):
        raise ValueError("preprocess and network are for images of different shapes")
    layers = feature_names(network)
    if (manifest.feature_layer not in layers) if layers else manifest.feature_layer is not None:
        raise ValueError(f"feature_layer {manifest.feature_layer} is none of {', '.join(layers) or 'no layers'}")
    if manifest.score.combine == "taught" and not (network.patch_discriminator or network.turn_discriminator):
        raise ValueError("the score is to be by what was taught, and nothing was")
    if manifest.search is None and not network.encoder:
        raise ValueError("there is neither a search nor an encoder to find a latent by")


def _check_arrays(contents: Contents) -> None:
    """Shapes and finite numbers; whether the weights fit the networks is found when these are built."""
    manifest, statistics, golden = contents.manifest, contents.statistics, contents.golden
    network, num_terms, num_golden = manifest.network, len(manifest.terms), len(golden.scores)
    shapes: dict[str, tuple[NDArray[np.generic], tuple[int, ...]]] = {
        "calibration scores": (contents.calibration.scores, (manifest.data.num_calibrate,)),
        "term_mean": (statistics.mean, (num_terms,)),
        "term_std": (statistics.std, (num_terms,)),
        "term_precision": (statistics.precision, (num_terms, num_terms)),
        "map_layers": (contents.map_scale.layers, (num_maps(network),)),
        "map_peak": (contents.map_scale.peak, (1,)),
        "seen": (contents.seen, (len(contents.seen),)),
        "golden pixels": (golden.pixels, (num_golden, network.channels, network.size, network.size)),
        "golden z_hat": (golden.z_hat, (num_golden, network.latent_dim)),
        "golden terms": (golden.terms, (num_golden, num_terms)),
        "golden scores": (golden.scores, (num_golden,)),
    }
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise ValueError(f"{name} are of shape {array.shape}, expected {shape}")
    for name, array in {**contents.weights, **{name: array for name, (array, _) in shapes.items()}}.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} are not all finite")


def _contiguous(arrays: Arrays) -> Arrays:
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def _history_csv(history: list[dict[str, float]]) -> bytes:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in history for name in row)) or ["step"]
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: int(value) if float(value).is_integer() else value for name, value in row.items()} for row in history
    )
    return text.getvalue().encode()
