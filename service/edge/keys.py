"""API keys: a file with one line per key, and how a key that was sent is found in it.

    # name   scopes       SHA-256 of the key                                                last day (UTC), if any
    line-3   score        9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    plant    score,admin  60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752  2027-01-31

A key is 256 random bits and is shown once, when it is made; the file holds its hash only (docs/adr/0009-keys.md tells
why a plain SHA-256 is enough). Deleting a line revokes its key when the server is told to read the file again.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import shlex
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path

from anomaly.bundle import check_outside_versions
from anomaly.counted import counted
from anomaly.errors import UsageError
from anomaly.files import replacing, storing, text_encoding
from anomaly.locks import writing_file

logger = logging.getLogger(__name__)

PREFIX = "anomaly_"  # lets scanners for leaked secrets know what they see
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
SHA256 = re.compile(r"[0-9a-f]{64}")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
DAY_S = 86_400
SOON_S = 14 * DAY_S
"""Before its end a key, or a certificate, is warned of for so long, as deploy/prometheus/rules.yml does too."""


class Scope(StrEnum):
    """What a key is for."""

    SCORE = "score"
    ADMIN = "admin"


@dataclass(frozen=True)
class Key:
    """A key's name, what it is for, the SHA-256 of it in hexadecimal, and the last day on which it is accepted."""

    name: str
    scopes: frozenset[Scope]
    sha256: str
    expires: date | None = None

    def is_past(self, today: date) -> bool:
        """Whether its last day lies before this one."""
        return self.expires is not None and self.expires < today

    @property
    def has_expired(self) -> bool:
        """Whether it is accepted no more; days are those of UTC, as in the log."""
        return self.is_past(datetime.now(UTC).date())

    @property
    def end(self) -> float | None:
        """The Unix time from which on it is accepted no more, if there is one."""
        if self.expires is None:
            return None
        return datetime.combine(self.expires, datetime.min.time(), UTC).timestamp() + DAY_S


class Keyring:
    """The keys in force: those of a file, or none."""

    def __init__(self, path: Path | None) -> None:
        """Raises UsageError as `read_keys` does, and for a file without any key."""
        self._path = path
        self._keys = _read_some(path) if path else ()
        _tell_ends(self._keys)
        self._reloading = threading.Lock()

    def __bool__(self) -> bool:
        """Whether keys are asked for: there is a file, even if all its keys were removed since."""
        return self._path is not None

    def ends(self) -> dict[str, float]:
        """The keys' names, with the Unix time from which on each is accepted no more; of those with a last day."""
        return {key.name: key.end for key in self._keys if key.end is not None}

    def find(self, secret: str) -> Key | None:
        """The key that `secret` is, expired or not.

        Takes the same time whichever it is, and however near a wrong one comes.
        """
        presented = _hash(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, presented):
                found = key
        return found

    def reload(self) -> None:
        """Read the file again; if that fails, say so in the log and keep the keys in force.

        A file without keys is read like any other: then no key is in force. Of several calls at once, as signals may
        come, the one that read the file last has the last word.
        """
        if self._path is None:
            return
        try:
            with self._reloading:
                self._keys = read_keys(self._path)
        except UsageError as error:
            logger.error("the keys stay as they were: %s", error)
        else:
            _tell_ends(self._keys)
            if num := sum(not key.has_expired for key in self._keys):
                logger.info("%s in force", counted(num, "key is", "keys are"))
            elif not self._keys:
                logger.warning(
                    "no key is in force: %s has none any more, so whatever needs a key is refused (401); make one with "
                    "`anomaly keys add` and send SIGHUP again",
                    self._path,
                )


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file. Raises UsageError if it cannot be read or understood."""
    keys: dict[str, Key] = {}
    for number, line in enumerate(_lines(path), start=1):
        fields = line.partition("#")[0].split()
        if fields:
            key = _parse(fields, f"{path}, line {number}")
            if key.name in keys:
                raise UsageError(
                    f"{path}, line {number}: there is a key called {key.name} already; rename one of them."
                )
            if same := [other.name for other in keys.values() if other.sha256 == key.sha256]:
                raise UsageError(
                    f"{path}, line {number}: the key {key.name} has the SHA-256 of the key {same[0]}, so it is one key "
                    "with two names; delete one of the lines, or make a key of its own for each."
                )
            keys[key.name] = key
    return tuple(keys.values())


def add_key(path: Path, name: str, scopes: Sequence[str], *, expires: str = "") -> str:
    """Make a key for one or more of the scopes, write its line into the file, which need not exist, and return it.

    `expires` is the last day on which it is accepted, such as 2027-01-31 (UTC); without it there is none.
    Where `path` is a link, the file that it leads to is written.
    Raises UsageError for a name that is taken or not allowed, an unknown scope, no day or a past one, a file that
    cannot be read or lies in a version of a model, or what is no regular file; StorageError where it cannot be written.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    fields = [name, ",".join(scopes), _hash(secret), *([expires] if expires else [])]
    if _parse(fields, "a new key").has_expired:
        raise UsageError(f"a new key cannot expire on {expires}: that day is past (UTC).")
    file = _file_of(path)
    check_outside_versions(file)
    with writing_file(file, "the keys", wait=True):
        lines = _lines(path) if path.exists() else []
        if path.exists() and name in {key.name for key in read_keys(path)}:
            raise UsageError(f"{path} has a key called {name} already; remove it first, or choose another name.")
        _write(file, [*lines, "  ".join(fields)])
    return secret


def remove_key(path: Path, name: str) -> None:
    """Delete a key's line from the file; where `path` is a link, from the file that it leads to.

    Raises UsageError if there is none of that name, or as `add_key` does.
    """
    file = _file_of(path)
    read_keys(path)  # says what is wrong with the file, before anything is made beside it
    with writing_file(file, "the keys", wait=True):
        if name not in {key.name for key in read_keys(path)}:
            raise UsageError(f"{path} has no key called {name}; `anomaly keys list` shows those it has.")
        _write(file, [line for line in _lines(path) if line.partition("#")[0].split()[:1] != [name]])


def _read_some(path: Path) -> tuple[Key, ...]:
    keys = read_keys(path)
    if not keys:
        raise UsageError(f"{path} has no keys; make one: anomaly keys add NAME --file {shlex.quote(str(path))}")
    return keys


def _parse(fields: Sequence[str], where: str) -> Key:
    if len(fields) not in (3, 4):
        raise UsageError(
            f"{where}: has {counted(len(fields), 'field')}; a key has three: its name, its scopes and its SHA-256, and "
            "one that expires a fourth: its last day, such as 2027-01-31."
        )
    name, scopes, sha256 = fields[:3]
    if not NAME.fullmatch(name):
        raise UsageError(f"{where}: a key cannot be called {name!r}; use up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'.")
    if unknown := set(scopes.split(",")) - set(Scope):
        raise UsageError(f"{where}: there is no scope {', '.join(sorted(unknown))!r}; there are {', '.join(Scope)}.")
    if not SHA256.fullmatch(sha256):
        raise UsageError(
            f"{where}: the third field is no SHA-256 (64 of 0-9 and a-f); make keys with `anomaly keys add`."
        )
    return Key(name, frozenset(map(Scope, scopes.split(","))), sha256, _last_day(fields[3:], where))


def _last_day(fields: Sequence[str], where: str) -> date | None:
    if not fields:
        return None
    try:
        if DATE.fullmatch(fields[0]):
            return date.fromisoformat(fields[0])
    except ValueError:
        pass
    raise UsageError(f"{where}: {fields[0][:80]!r} is no day; write it as 2027-01-31, or leave it away.")


def _tell_ends(keys: Sequence[Key]) -> None:
    for key in keys:
        if key.has_expired:
            logger.warning("the key %s has expired: its last day was %s (UTC)", key.name, key.expires)
        elif key.end is not None and key.end - time.time() < SOON_S:
            logger.warning(
                "the key %s expires soon: its last day is %s (UTC); write a later day into its line, or replace it",
                *(key.name, key.expires),
            )


def _lines(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
        return data.decode(text_encoding(data)).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"the keys in {path} cannot be read: {reason}. `anomaly keys add` makes the file.") from error


def _file_of(path: Path) -> Path:
    """The file to write, which need not exist: a link stays, and what it leads to is written. Raises as `add_key`."""
    with storing("the keys", path.parent, instead="choose another --file"):
        file = Path(os.path.realpath(path)) if path.is_symlink() else path
        if file.is_symlink() or (path.exists() and not path.is_file()):  # a link still is one if links go in a circle
            raise UsageError(f"the keys cannot be written to {path}: it is no regular file; choose another --file.")
    return file


def _write(path: Path, lines: Sequence[str]) -> None:
    """All of it or nothing; a new file is readable by its owner only."""
    is_new = not path.exists()
    with storing("the keys", path.parent, instead="choose another --file"), replacing(path) as work:
        if is_new:
            work.chmod(0o600)
        work.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
