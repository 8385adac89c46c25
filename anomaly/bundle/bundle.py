"""A bundle's way to and from disk.

Written beside its place and renamed into it; every file but SHA256SUMS is covered by it, and SHA256SUMS' own SHA-256
is the bundle's digest.
"""

import csv
import errno
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError

from anomaly.bundle.contents import Contents, from_files, to_files
from anomaly.bundle.layout import CARD, MANIFEST, SUMS, BundleRef, check_name_directory, next_version, resolve
from anomaly.bundle.manifest import SCHEMA_VERSION, Manifest
from anomaly.bundle.sums import corrupt, read_verified, schema_of, sums
from anomaly.config.mistakes import mistakes_of
from anomaly.errors import BundleError, CorruptBundleError, first_line
from anomaly.files import storing, to_text


@dataclass(frozen=True)
class Bundle:
    """Contents with their place and digest, and the schema that their files have."""

    ref: BundleRef
    digest: str
    contents: Contents = field(repr=False)
    card: str = field(repr=False)
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


def unsaved(contents: Contents, name_directory: Path) -> Bundle:
    """Contents that are complete but in no file yet, for a detector to score with: version 0, no digest and no card."""
    return Bundle(BundleRef(name_directory.resolve().name, 0, name_directory), "", contents, "")


def save(contents: Contents, name_directory: Path, *, left_out: Sequence[tuple[str, str]] = ()) -> Bundle:
    """Write a new version under `models/NAME`; a reader sees the whole bundle or none of it.

    `left_out` are files that could not be read, with the reasons: they go into `VERSION.left_out.csv` beside it.

    Raises:
        UsageError: the folder is none for a model (see `check_name_directory`).
        StorageError: the folder cannot be written.
    """
    beside = _work_folder(name_directory)
    listed = beside.with_name(f"{beside.name}.csv")
    try:
        with storing("a bundle", name_directory, instead="choose another folder"):
            if left_out:
                _write(listed, _left_out_csv(left_out))
        while (ref := _write_version(contents, beside, name_directory)) is None:
            pass  # another process has taken that version meanwhile: the next one
        with storing("a list of files left out", name_directory, instead="choose another folder"):
            if left_out:
                listed.replace(ref.left_out)
            else:
                ref.left_out.unlink(missing_ok=True)  # of a version that was deleted
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        listed.unlink(missing_ok=True)
    return load(ref.path)


def check_savable(name_directory: Path) -> None:
    """Check that a new version can be written under `models/NAME`: before long work, at whose end it would be refused.

    Nothing is left there. A disk that is too full is not seen.

    Raises:
        UsageError: the folder is none for a model (see `check_name_directory`).
        StorageError: the folder cannot be written.
    """
    beside = _work_folder(name_directory)
    with storing("a bundle", name_directory, instead="choose another folder"):
        beside.rmdir()


def _work_folder(name_directory: Path) -> Path:
    """A new folder in it, which no reader takes for a version. Raises UsageError and StorageError as `save` does."""
    check_name_directory(name_directory)
    with storing("a bundle", name_directory, instead="choose another folder"):
        name_directory.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".new-", dir=name_directory))


def _write_version(contents: Contents, beside: Path, name_directory: Path) -> BundleRef | None:
    """Write the files into the folder `beside` and rename it to the next version; None if there is one of that number.

    Renaming is what takes the number: a folder does not take the place of one that has files.
    """
    ref = BundleRef(
        name_directory.resolve().name, version := next_version(name_directory), name_directory / str(version)
    )
    files = to_files(contents, name=to_text(ref.name), version=version)
    files[SUMS] = sums(files)
    num_bytes = sum(map(len, files.values()))
    with storing("a bundle", name_directory, num_bytes=num_bytes, instead="choose another folder"):
        for file, data in files.items():
            _write(beside / file, data)
        beside.chmod(0o755)
        try:
            beside.rename(ref.path)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                return None
            raise
    return ref


def load(model: str | Path) -> Bundle:
    """Read and verify a bundle: its set of files, their sums, schema, shapes, and finite numbers.

    Raises:
        BundleNotFoundError: there is no bundle at `model` (a name directory or a version directory).
        CorruptBundleError: a file differs from what was written, is missing, or was added.
        BundleError: a later version of anomaly wrote it: this one does not know its schema, or fields of its manifest.
    """
    ref = resolve(model)
    try:
        files = read_verified(ref.path)
        contents, card = _parsed(files, ref.path)
    except CorruptBundleError as error:
        if sign := _sign_of_newer(ref.path, error.__cause__):
            raise BundleError(
                f"the bundle {ref.path} was written by a newer version of anomaly ({sign}): upgrade anomaly"
            ) from error
        raise
    schema_version = int(json.loads(files[MANIFEST])["schema_version"])
    return Bundle(ref, hashlib.sha256(files[SUMS]).hexdigest(), contents, card, schema_version)


def _parsed(files: dict[str, bytes], folder: Path) -> tuple[Contents, str]:
    """The contents and the card. Raises CorruptBundleError: they are not those of a bundle of a schema known here."""
    try:
        return from_files(files), files[CARD].decode()
    except (ValueError, KeyError, TypeError, SafetensorError, csv.Error) as error:
        raise corrupt(folder, f"its contents are not those of a bundle of this schema ({_reason(error)})") from error


def _sign_of_newer(folder: Path, cause: BaseException | None) -> str | None:
    """Why a later version of anomaly must have written a bundle that was refused because of `cause`; None: not so."""
    found = schema_of(folder)
    if found is not None and found > SCHEMA_VERSION:
        return f"schema {found}; this one reads up to {SCHEMA_VERSION}"
    if found == SCHEMA_VERSION and isinstance(cause, ValidationError):
        unknown = [".".join(map(str, each["loc"])) for each in cause.errors() if each["type"] == "extra_forbidden"]
        return f"this one does not know {', '.join(unknown)} in its manifest" if unknown else None
    return None


def _reason(error: Exception) -> str:
    """The first cause, in one line."""
    if isinstance(error, ValidationError):
        return str(mistakes_of(error)[0])
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return first_line(error)


def _left_out_csv(left_out: Sequence[tuple[str, str]]) -> bytes:
    """Names that are not UTF-8 keep their bytes, as in results."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("path", "error"), *left_out])
    return text.getvalue().encode(errors=sys.getfilesystemencodeerrors())


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
