"""Where bundles lie: `models/<name>/<version>/`, versions positive integers, the highest current."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anomaly.errors import BundleNotFoundError

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
CALIBRATION = "calibration.safetensors"
GOLDEN = "golden.safetensors"
HISTORY = "history.csv"
CARD = "README.md"
SUMS = "SHA256SUMS"
SUMMED = (CARD, CALIBRATION, GOLDEN, HISTORY, MANIFEST, WEIGHTS)


@dataclass(frozen=True, order=True)
class BundleRef:
    """A bundle that is there, not yet opened."""

    name: str
    version: int
    path: Path


def list_bundles(models: Path, *, is_wanted: Callable[[Path], bool] = lambda folder: True) -> list[BundleRef]:
    """Every version of every name under `models`, by name and version.

    `is_wanted` is asked of the folder of a name, and of a version, before it is looked into.

    Raises:
        BundleNotFoundError: `models` is not a folder.
    """
    if not models.is_dir():
        raise BundleNotFoundError(f"there is no folder {models}; give the folder that holds the bundles")
    folders = (folder for folder in models.iterdir() if not folder.name.startswith(".") and is_wanted(folder))
    names = (folder for folder in folders if folder.is_dir())
    versions = ((name, version, path) for name in names for version, path in _versions(name))
    return sorted(BundleRef(name.name, version, path) for name, version, path in versions if is_wanted(path))


def resolve(model: Path) -> BundleRef:
    """MODEL: a bundle's name directory (its current version) or a version directory.

    Raises:
        BundleNotFoundError: it is neither.
    """
    version = _version_number(model.absolute().name)  # "." has a name too
    if version is not None and any((model / file).exists() for file in (SUMS, MANIFEST)):
        return BundleRef(model.resolve().parent.name, version, model)
    versions = _versions(model) if model.is_dir() else []
    if not versions:
        raise BundleNotFoundError(
            f"there is no bundle at {model}; give models/NAME or models/NAME/VERSION (`anomaly models list` shows them)"
        )
    version, path = max(versions)
    return BundleRef(model.resolve().name, version, path)


def next_version(name_directory: Path) -> int:
    """The version after the current one; 1 for a new name."""
    versions = _versions(name_directory) if name_directory.is_dir() else []
    return 1 + max((version for version, _ in versions), default=0)


def _versions(name_directory: Path) -> list[tuple[int, Path]]:
    found = ((_version_number(child.name), child) for child in name_directory.iterdir() if child.is_dir())
    return [(version, path) for version, path in found if version is not None]


def _version_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and not text.startswith("0") else None
