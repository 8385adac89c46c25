"""Where bundles lie: `models/<name>/<version>/`, versions positive integers, the highest current.

What systems and editors leave in folders by themselves is no part of a bundle, and no bundle.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from anomaly.errors import BundleError, BundleNotFoundError, UsageError, reason_of
from anomaly.files import given_path, is_system_name, to_text

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
CALIBRATION = "calibration.safetensors"
GOLDEN = "golden.safetensors"
EVIDENCE = "evidence.onnx"
HISTORY = "history.csv"
CARD = "README.md"
SUMS = "SHA256SUMS"
REQUIRED = (CARD, CALIBRATION, GOLDEN, HISTORY, MANIFEST, WEIGHTS)

_MAX_NAMES = 5
_EDITORS_NAMES = (".*.swp", ".*.swo", ".#*", "*~")


@dataclass(frozen=True, order=True)
class BundleRef:
    """A bundle that is there, not yet opened."""

    name: str
    version: int
    path: Path

    @property
    def name_directory(self) -> Path:
        """Where further versions of it go."""
        return self.path.resolve().parent

    @property
    def left_out(self) -> Path:
        """The file beside it that names what could not be read when it was made; it is there if there was such."""
        return self.path.with_name(f"{self.version}.left_out.csv")


def check_name_directory(folder: Path) -> None:
    """Check that versions in this folder would be those of a model, models/NAME, and found by all who look for models.

    Raises:
        UsageError: its name is none for a model, or it is a version itself.
    """
    name, shown = folder.resolve().name, to_text(str(folder))
    if name != to_text(name):
        raise UsageError(
            f"{shown}: {to_text(name)} would be the model's name in addresses and reports, and is not UTF-8 text; "
            "choose another name"
        )
    if name.startswith(".") or is_system_name(name):
        raise UsageError(
            f"{shown}: a folder called {name} is passed over where models are looked for; choose another name"
        )
    if held := _models_in(folder):
        raise UsageError(
            f"{shown} is a folder that holds models ({_listed(held)}); give a folder in it, such as "
            f"{to_text(str(folder / held[0]))}, which gets a new version"
        )
    if _is_version(folder):
        raise UsageError(
            f"{shown} is a version of a model, and versions are never changed; give the folder of the model, "
            f"{to_text(str(folder.parent))}, which gets a new version"
        )


def check_outside_versions(place: Path) -> None:
    """Raises UsageError for a file or folder to write that lies in a version of a model, which holds nothing else."""
    resolved = place.resolve()
    if inside := next(filter(_is_version, (resolved, *resolved.parents)), None):
        raise UsageError(
            f"{to_text(str(place))} lies in {to_text(str(inside))}, a version of a model, which could not be loaded "
            "any more with another file in it; choose another place"
        )


def list_bundles(
    models: Path,
    *,
    is_wanted: Callable[[Path], bool] = lambda folder: True,
    warn: Callable[[str], None] = logger.warning,
) -> list[BundleRef]:
    """Every version of every name under `models`, by name and version.

    `is_wanted` is asked of the folder of a name, and of a version, before it is looked into. `warn` is told of each
    name whose folder cannot be read; it is passed over.

    Raises:
        BundleNotFoundError: `models` is not a folder.  BundleError: it cannot be read.
    """
    try:
        if not models.is_dir():
            raise BundleNotFoundError(f"there is no folder {models}; give the folder that holds the bundles")
        folders = list(models.iterdir())
    except OSError as error:
        raise BundleError(
            f"the folder {models} cannot be read: {reason_of(error)}; give this account the right to read and "
            "enter it, or name another folder"
        ) from error
    found: list[BundleRef] = []
    for folder in folders:
        if folder.name.startswith(".") or is_system_name(folder.name):
            continue
        try:
            versions = _versions(folder) if is_wanted(folder) and folder.is_dir() else []
            found += [BundleRef(folder.name, version, path) for version, path in versions if is_wanted(path)]
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, for Python before 3.13
            warn(
                f"{folder} is passed over, with all its versions: it cannot be read ({reason_of(error)}); give this "
                "account the right to read and enter it, or remove it"
            )
    return sorted(found)


def resolve(model: str | Path) -> BundleRef:
    """MODEL: a bundle's name directory (its current version) or a version directory.

    Raises:
        BundleNotFoundError: it is neither.  UsageError: it is an empty text.
    """
    model = given_path(model, "MODEL")
    version = _version_number(model.absolute().name)  # "." has a name too
    if version is not None and _is_bundle(model):
        return BundleRef(model.resolve().parent.name, version, model)
    versions = _versions(model) if model.is_dir() else []
    if not versions and (held := _models_in(model)):
        raise BundleNotFoundError(
            f"{model} is a folder that holds models ({_listed(held)}); give one of them, such as {model / held[0]}"
        )
    if not versions:
        raise BundleNotFoundError(
            f"there is no bundle at {model}; give models/NAME or models/NAME/VERSION (`anomaly models list` shows them)"
        )
    version, path = max(versions)
    return BundleRef(model.resolve().name, version, path)


def wrong_level(models: Path) -> str | None:
    """Where `models` holds no bundles: that it is a model's own folder, or a version's, and what to give instead."""
    folder = models if models.name not in ("", "..") else models.resolve()
    if _version_number(folder.name) is not None and _is_bundle(folder):
        above = folder.parent.parent
        return (
            f"{models} is a version of the model {folder.parent.name}; give the folder that holds the models, {above}"
        )
    if folder.is_dir() and any(_is_bundle(path) for _, path in _versions(folder)):
        return (
            f"{models} is the folder of the model {folder.name}; give the folder that holds the models, {folder.parent}"
        )
    return None


def is_foreign(name: str) -> bool:
    """Whether a file of this name in a bundle is none of it: what systems, network storage and editors leave."""
    return is_system_name(name) or any(fnmatchcase(name.lower(), pattern) for pattern in _EDITORS_NAMES)


def next_version(name_directory: Path) -> int:
    """The version after the highest number that anything there is called by; 1 for a new name."""
    names = [child.name for child in name_directory.iterdir()] if name_directory.is_dir() else []
    return 1 + max((number for name in names if (number := _version_number(name)) is not None), default=0)


def _is_bundle(version: Path) -> bool:
    return any((version / file).exists() for file in (SUMS, MANIFEST))


def _models_in(folder: Path) -> list[str]:
    """The names of the models in a folder; none where it is no folder that can be read."""
    try:
        refs = list_bundles(folder, warn=lambda warning: None)
        return sorted({ref.name for ref in refs if _is_bundle(ref.path)})
    except (BundleError, OSError):
        return []


def _listed(names: list[str]) -> str:
    """The first of the names."""
    return ", ".join(names[:_MAX_NAMES]) + (" …" if len(names) > _MAX_NAMES else "")


def _versions(name_directory: Path) -> list[tuple[int, Path]]:
    found = ((_version_number(child.name), child) for child in name_directory.iterdir() if child.is_dir())
    return [(version, path) for version, path in found if version is not None]


def _version_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and not text.startswith("0") else None


def _is_version(folder: Path) -> bool:
    return (folder / MANIFEST).exists() and (folder / SUMS).exists()
