"""Where reported pictures go: `normal/`, `anomalous/` and `errors/` in a folder, below it as they were.

Nothing is overwritten: where a name is taken, the report's id is put into it. A move that was interrupted between two
disks is completed by the next try. A link leads to the same file from its new place; on another disk a copy of that
file takes its place.
"""

import errno
import filecmp
import os
import shutil
from pathlib import Path

from anomaly.bundle import check_outside_versions
from anomaly.errors import UsageError
from anomaly.files import storing, work_name
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
        """Make the three.

        Raises:
            UsageError: there is a file where a folder is needed.
            StorageError: they cannot be made.
        """
        for folder in self.folders:
            if blocking := next((path for path in (folder, *folder.parents) if _is_no_folder(path)), None):
                raise UsageError(
                    f"--move-to {self._destination}: {blocking} is no folder; move it away, or give another folder"
                )
            with storing("pictures", folder, instead="give another folder as --move-to"):
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


def open_sorting(folder: Path, destination: Path | None, shortage: str | None) -> Sorting | None:
    """With its three folders; None where nothing is to be moved. `shortage`: why there is no threshold, if so.

    Raises:
        UsageError: there is no threshold, or `destination` cannot be used.
        StorageError: the folders cannot be made.
    """
    if destination is None:
        return None
    if shortage is not None:
        raise UsageError(f"without a threshold there is no normal and no anomalous to sort into: {shortage}")
    check_outside_versions(destination)
    sorting = Sorting(folder, destination.resolve())
    sorting.make()
    return sorting


def _verdict(row: ResultRow) -> str:
    if row["error"] is not None:
        return ERRORS
    return ANOMALOUS if row["is_anomalous"] else NORMAL


def _is_no_folder(path: Path) -> bool:
    return os.path.lexists(path) and not path.is_dir()


def _move(source: Path, place: Path) -> None:
    is_one_disk = source.lstat().st_dev == place.parent.stat().st_dev
    if is_one_disk and source.is_symlink() and not source.readlink().is_absolute():
        place.symlink_to(_target_of(source))
        source.unlink()
        return
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


def _target_of(link: Path) -> Path:
    """What a link points at, from wherever it lies."""
    return link.parent.resolve() / link.readlink()


def _is_copy(source: Path, place: Path) -> bool:
    if place.is_symlink():
        return source.is_symlink() and place.readlink() == _target_of(source)
    one, other = source.stat(), place.lstat()
    is_alike = (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
    return is_alike and not source.samefile(place) and filecmp.cmp(source, place, shallow=False)
