"""A bundle in memory, and its way to and from disk.

Written beside its place and renamed into it; every file but SHA256SUMS is covered by it, and SHA256SUMS' own SHA-256
is the bundle's digest. No pickle anywhere: weights are safetensors, the manifest is JSON. Loading reads each file once
and checks those bytes before it parses them.
"""

import csv
import hashlib
import io
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError

from anomaly.bundle.card import model_card
from anomaly.bundle.layout import (
    CALIBRATION,
    CARD,
    GOLDEN,
    HISTORY,
    MANIFEST,
    SUMMED,
    SUMS,
    WEIGHTS,
    BundleRef,
    next_version,
    resolve,
)
from anomaly.bundle.manifest import Manifest
from anomaly.calibration import Calibration
from anomaly.errors import BundleError, CorruptBundleError
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


@dataclass(frozen=True)
class Bundle:
    """Contents with their place and digest."""

    ref: BundleRef
    digest: str
    contents: Contents
    card: str

    @property
    def name(self) -> str:
        """The name directory's name."""
        return self.ref.name

    @property
    def version(self) -> int:
        """A positive integer; the highest is current."""
        return self.ref.version

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self.contents.manifest


def save(contents: Contents, name_directory: Path) -> Bundle:
    """Write a new version under `models/NAME`; a reader sees the whole bundle or none of it.

    Raises:
        BundleError: the folder cannot be written.
    """
    try:
        name_directory.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".new-", dir=name_directory))
    except OSError as error:
        raise BundleError(f"cannot write a bundle under {name_directory}: {error}") from error
    try:
        version = next_version(name_directory)
        files = _files(contents, name=name_directory.resolve().name, version=version)
        files[SUMS] = _sums(files)
        for file, data in files.items():
            _write(beside / file, data)
        beside.chmod(0o755)
        place = name_directory / str(version)
        beside.rename(place)
    except OSError as error:
        raise BundleError(f"cannot write a bundle under {name_directory}: {error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return load(place)


def load(model: Path) -> Bundle:
    """Read and verify a bundle: its set of files, their sums, schema, and finite weights.

    Raises:
        BundleNotFoundError: there is no bundle at `model` (a name directory or a version directory).
        CorruptBundleError: a file differs from what was written, is missing, or was added.
    """
    ref = resolve(model)
    files = _read_verified(ref.path)
    try:
        contents = _contents(files)
    except (ValidationError, SafetensorError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise _corrupt(ref.path, f"its contents are not those of a bundle of this schema ({reason})") from error
    for name, weight in contents.weights.items():
        if np.issubdtype(weight.dtype, np.floating) and not np.isfinite(weight).all():
            raise _corrupt(ref.path, f"the weight {name} is not finite")
    return Bundle(ref, hashlib.sha256(files[SUMS]).hexdigest(), contents, files[CARD].decode())


def _files(contents: Contents, *, name: str, version: int) -> dict[str, bytes]:
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


def _contents(files: dict[str, bytes]) -> Contents:
    manifest = Manifest.model_validate_json(files[MANIFEST])
    calibration = safetensors.numpy.load(files[CALIBRATION])
    golden = safetensors.numpy.load(files[GOLDEN])
    rows = csv.DictReader(io.StringIO(files[HISTORY].decode()))
    return Contents(
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
        history=[{name: float(value) for name, value in row.items()} for row in rows],
    )


def _read_verified(folder: Path) -> dict[str, bytes]:
    try:
        present = {child.name for child in folder.iterdir()}
        expected = {*SUMMED, SUMS}
        if missing := sorted(expected - present):
            raise _corrupt(folder, f"{', '.join(missing)} missing")
        if added := sorted(present - expected):
            raise _corrupt(folder, f"{', '.join(added)} added")
        files = {name: (folder / name).read_bytes() for name in sorted(expected)}
    except OSError as error:
        raise _corrupt(folder, f"it cannot be read ({error})") from error
    if files[SUMS] != _sums({name: files[name] for name in SUMMED}):
        recorded = set(files[SUMS].decode(errors="replace").splitlines())
        changed = [name for name in SUMMED if _sum_line(name, files[name]) not in recorded]
        raise _corrupt(folder, f"{', '.join(changed) or SUMS} changed since the bundle was written")
    return files


def _sums(files: dict[str, bytes]) -> bytes:
    """In the format of `sha256sum`, so that `sha256sum --check SHA256SUMS` works too."""
    return "".join(f"{_sum_line(name, files[name])}\n" for name in sorted(files)).encode()


def _sum_line(name: str, data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()}  {name}"


def _corrupt(folder: Path, why: str) -> CorruptBundleError:
    return CorruptBundleError(f"the bundle {folder} is corrupt: {why}. Restore it from a copy, or train it again")


def _contiguous(arrays: Arrays) -> Arrays:
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _history_csv(history: list[dict[str, float]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]) if history else ["step"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in history)
    return text.getvalue().encode()


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
