"""A bundle's way to and from disk.

Written beside its place and renamed into it; every file but SHA256SUMS is covered by it, and SHA256SUMS' own SHA-256
is the bundle's digest.
"""

import csv
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError

from anomaly.bundle.contents import Contents, from_files, to_files
from anomaly.bundle.layout import CARD, MANIFEST, SUMS, BundleRef, next_version, resolve
from anomaly.bundle.manifest import SCHEMA_VERSION, Manifest
from anomaly.bundle.sums import corrupt, read_verified, sums
from anomaly.errors import BundleError


@dataclass(frozen=True)
class Bundle:
    """Contents with their place and digest, and the schema that their files have."""

    ref: BundleRef
    digest: str
    contents: Contents
    card: str
    schema_version: int = SCHEMA_VERSION

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
        files = to_files(contents, name=name_directory.resolve().name, version=version)
        files[SUMS] = sums(files)
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
    """Read and verify a bundle: its set of files, their sums, schema, shapes, and finite numbers.

    Raises:
        BundleNotFoundError: there is no bundle at `model` (a name directory or a version directory).
        CorruptBundleError: a file differs from what was written, is missing, or was added.
    """
    ref = resolve(model)
    files = read_verified(ref.path)
    try:
        contents = from_files(files)
        card = files[CARD].decode()
    except (ValueError, KeyError, TypeError, SafetensorError, csv.Error) as error:
        raise corrupt(ref.path, f"its contents are not those of a bundle of this schema ({_reason(error)})") from error
    schema_version = int(json.loads(files[MANIFEST])["schema_version"])
    return Bundle(ref, hashlib.sha256(files[SUMS]).hexdigest(), contents, card, schema_version)


def _reason(error: Exception) -> str:
    """The first cause, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first["loc"] else first["msg"]
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return str(error).partition("\n")[0]


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
