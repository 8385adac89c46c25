"""Where reported pictures go: `normal/`, `anomalous/` and `errors/` in a folder, below it as they were.

Nothing is overwritten: where a name is taken, the report's id is put into it. A move that was interrupted between two
disks is completed by the next try.
"""

import errno
import filecmp
import os
import shutil
from pathlib import Path

from anomaly.files import work_name
from anomaly.pipeline.results import ResultRow
from anomaly.watch.arrivals import arrival_of
from anomaly.watch.journal import Report

NORMAL, ANOMALOUS, ERRORS = "normal", "anomalous", "errors"


class Sorting:
    """Moves files of `folder` into the three folders in `destination`, which may be on another disk."""

    def __init__(self, folder: Path, destination: Path) -> None:
        self._folder = folder
        self._destination = destination

    @property
    def folders(self) -> list[Path]:
        """The three."""
        return [self._destination / name for name in (NORMAL, ANOMALOUS, ERRORS)]

    def make(self) -> None:
        """Make the three. Raises OSError."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)

    def move(self, report: Report) -> None:
        """Move one picture. One that is gone, or was replaced by another since, is left as it is.

        Raises:
            OSError: it cannot be moved.
        """
        source = self._folder / report.arrival.path
        if arrival_of(source, report.arrival.path) != report.arrival:
            return
        wanted = self._destination / _verdict(report.row) / report.arrival.path
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for place in (wanted, wanted.with_name(f"{wanted.stem}-{report.id}{wanted.suffix}")):
            if not os.path.lexists(place):
                _move(source, place)
                return
            if _is_copy(source, place):  # made by a move that was interrupted
                source.unlink()
                return
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))


def _verdict(row: ResultRow) -> str:
    if row["error"] is not None:
        return ERRORS
    return ANOMALOUS if row["is_anomalous"] else NORMAL


def _move(source: Path, place: Path) -> None:
    try:
        source.rename(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        work = place.with_name(work_name(place, "partial"))
        shutil.copy2(source, work)
        with work.open("r+b") as file:
            os.fsync(file.fileno())
        work.rename(place)
        source.unlink()


def _is_copy(source: Path, place: Path) -> bool:
    one, other = source.stat(), place.lstat()
    is_alike = (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
    return is_alike and not source.samefile(place) and filecmp.cmp(source, place, shallow=False)
