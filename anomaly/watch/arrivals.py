"""Which files of a folder are whole, in the order in which they are scored.

A file is whole when it has not changed for a while and no program has it open for writing, where the system tells that:
Linux by a lease on the file, Windows and Windows shares by refusing to open it. What is still open after a minute
without a change is taken as it is, so that no file waits for ever.
"""

import hashlib
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from anomaly.data.files.listing import is_left_out, list_images
from anomaly.watch.journal import Arrival

OPEN_AT_MOST_S = 60.0
"""How long a file that does not change may stay open for writing before it is taken nevertheless."""


@dataclass(slots=True)
class _Seen:
    """A file as it was when it was last looked at, and since when it is so, by the monotonic clock."""

    arrival: Arrival
    since: float


class Arrivals:
    """The files that are not in the journal yet.

    `settle_s` is how long a file must be unchanged. `skipped` are folders in which nothing is looked for. `is_open`
    says whether a program is writing a file.
    """

    def __init__(
        self,
        folder: Path,
        knows: Callable[[Arrival], bool],
        *,
        settle_s: float,
        skipped: Sequence[Path] = (),
        is_open: Callable[[Path], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._knows = knows
        self._settle_s = settle_s
        self._skipped = [os.path.realpath(path) for path in skipped]
        self._is_open = is_open
        self._now = now
        self._waiting: dict[str, _Seen] = {}

    def __len__(self) -> int:
        """How many are not known to be whole yet, or wait to be accepted."""
        return len(self._waiting)

    def scan(self) -> None:
        """Look at every image in the folder."""
        images, _ = list_images(self._folder)
        for path in images:
            if not self._is_skipped(path):
                self._look(path, has_changed=False)

    def look(self, paths: Iterable[Path]) -> None:
        """Look at files that something was said to have happened to."""
        for path in paths:
            if is_left_out(path, self._folder):
                continue
            files = list_images(path)[0] if path.is_dir() else [path]  # of files in a new folder nothing is said
            for file in {without_circles(file, self._folder): None for file in files}:
                if not self._is_skipped(file):
                    self._look(file, has_changed=True)

    def whole(self, limit: int) -> list[Arrival]:
        """The first of those that are whole, by time of change and path; they are no longer waited for."""
        settled = [seen for seen in self._waiting.values() if self._now() - seen.since >= self._settle_s]
        settled.sort(key=lambda seen: (seen.arrival.mtime_ns, os.fsencode(seen.arrival.path)))
        found: list[Arrival] = []
        for seen in settled:
            if len(found) == limit:
                break
            path = self._folder / seen.arrival.path
            self._look(path, has_changed=False)
            if self._waiting.get(seen.arrival.path) is not seen:
                continue  # it has changed, has gone, or is known by now
            if self._now() - seen.since < OPEN_AT_MOST_S and self._is_open(path):
                continue
            found.append(seen.arrival)
        for arrival in found:
            del self._waiting[arrival.path]
        return found

    def _look(self, path: Path, *, has_changed: bool) -> None:
        name = str(path.relative_to(self._folder))
        arrival = arrival_of(path, name)
        if arrival is None or self._knows(arrival):
            self._waiting.pop(name, None)
            return
        seen = self._waiting.get(name)
        if seen is None or has_changed or seen.arrival != arrival:
            self._waiting[name] = _Seen(arrival, self._now())

    def _is_skipped(self, path: Path) -> bool:
        real = os.path.realpath(path.parent) if self._skipped else ""
        return any(real == skipped or real.startswith(skipped + os.sep) for skipped in self._skipped)


def without_circles(path: Path, folder: Path) -> Path:
    """The path of the same file that takes no link back to a folder above it.

    So a look at the whole `folder` finds it, too.
    """
    place, above = folder, dict[tuple[int, int], Path]()
    for name in ("", *path.relative_to(folder).parts[:-1]):
        place = place / name
        try:
            status = place.stat()
        except OSError:  # it has gone
            continue
        place = above.setdefault((status.st_dev, status.st_ino), place)
    return place / path.name


def arrival_of(path: Path, name: str) -> Arrival | None:
    """The file as it is now, called `name`; None where there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Arrival(name, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def report_id(folder: Path, arrival: Arrival) -> str:
    """What tells a report that comes twice: 16 hexadecimal digits of SHA-256 over path, size, time and content."""
    try:
        with (folder / arrival.path).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    except OSError:  # the row says why
        content = b""
    name = os.fsencode(Path(arrival.path).as_posix())
    return hashlib.sha256(b"%b\0%d\0%d\0%b" % (name, arrival.size, arrival.mtime_ns, content)).hexdigest()[:16]


def cannot_be_opened(path: Path) -> bool:
    """Whether the system refuses to open a file, as Windows and Windows shares do while another program writes it."""
    try:
        with path.open("rb"):
            return False
    except PermissionError:
        return True
    except OSError:
        return False


def is_open_for_writing(path: Path) -> bool:
    """Whether a program of this machine has the file open for writing; False where that cannot be told.

    Linux grants a read lease only on files that nobody has open for writing. Source: fcntl(2), "Leases".
    """
    if sys.platform != "linux":
        return cannot_be_opened(path)
    import fcntl

    try:
        with path.open("rb") as file:
            fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)  # the signal of a broken lease: one that ends nobody
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)  # closing gives it back
    except (BlockingIOError, PermissionError) as error:
        return isinstance(error, BlockingIOError) or cannot_be_opened(path)
    except OSError:
        return False
    return False
