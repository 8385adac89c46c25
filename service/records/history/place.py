"""Where the history lies: whether the file at its path, and the log beside it, are those that are open.

SQLite finds the write-ahead log by its name alone. If another file is put in place of one that is in use, the log
beside it is still the old file's. Whoever opens the new file then reads pages of the old one, and whoever closes it
last writes them into it. So a file is looked at before it is opened.
"""

from contextlib import suppress
from pathlib import Path

from anomaly.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows, which does not let a file be renamed while it is open
    fcntl = None  # type: ignore[assignment]

_FILE_LOCKS = (0x40000002, 510)
"""Which bytes of a file SQLite locks while it has it open with a log: first and number (its os.h, SHARED_FIRST)."""
_INDEX_LOCK = (128, 1)
"""Which byte of the log's index it locks while it uses the log (its os_unix.c, UNIX_SHM_DMS)."""


def log_of(path: Path) -> Path:
    """The write-ahead log of a file."""
    return path.with_name(f"{path.name}-wal")


class HistoryPlace:
    """The history's path, and which files were opened there. Asked by any thread, told by the writer's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: tuple[int, int] | None = None
        """Device and inode of the file that is open, or was last."""
        self._log: tuple[int, int] | None = None
        self._is_open = False

    def opened(self) -> None:
        """The file is open, and its log. Raises OSError."""
        self.file, self._log = _identify(self.path), _identify(log_of(self.path))
        self._is_open = True

    def closed(self) -> None:
        """The file is closed; its log may be gone."""
        self._is_open = False

    def is_same(self) -> bool:
        """Whether the files at the path are those that are open, or were last."""
        with suppress(OSError):
            return _identify(self.path) == self.file and (
                not self._is_open or _identify(log_of(self.path)) == self._log
            )
        return False

    def check(self) -> None:
        """Raise OSError unless they are."""
        if not self.is_same():
            raise FileNotFoundError(
                f"{self.path} was renamed, removed or replaced while it was in use; its rows so far are in the file "
                "that was moved, and a new one is begun"
            )

    def check_log(self) -> None:
        """Raise OSError if the log has rows of a file that was replaced before they could be brought into it."""
        log = log_of(self.path)
        with suppress(FileNotFoundError):
            if _identify(log) == self._log and log.stat().st_size > 0 and not self.is_same():
                raise FileExistsError(
                    f"{self.path} was replaced, but {log} belongs to the file that was there before; stop the server "
                    "and move the log to where that file is now, under its name with -wal behind it"
                )


def check_unused_log(path: Path) -> None:
    """Raise UsageError if another process uses the log beside the file, but another file than this one.

    Not for a process that has the file open itself: it would lose its locks. Raises OSError if there is no such file.
    """
    index = path.with_name(f"{path.name}-shm")
    if fcntl is not None and index.exists() and not _is_locked(path, *_FILE_LOCKS) and _is_locked(index, *_INDEX_LOCK):
        raise UsageError(
            f"the log beside the history {path} is in use by a server, and belongs to another file that was there "
            "before; wait some seconds until the server has begun to use this one, or stop the server"
        )


def _is_locked(path: Path, first: int, number: int) -> bool:
    try:
        with path.open("rb+") as file:  # closed, it has no lock any more
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, number, first)
    except (BlockingIOError, PermissionError):  # POSIX leaves open which; a file that is read-only cannot be asked
        return True
    return False


def _identify(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
