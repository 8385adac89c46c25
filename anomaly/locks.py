"""Who is writing a place: a lock on a small file beside it, which says who holds it and since when.

The lock is the operating system's, so it ends with its process, however that ends: a crash leaves none behind. The file
itself is removed at the end. Where a crash has left it, it says nothing and is taken again.

It holds among machines that share a folder, if their file system has locks. NFS has them from version 4 on; version 3
needs its lock service (`rpc.statd`), and the mount option `nolock` keeps other machines from seeing them.
"""

import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from anomaly.errors import InUseError, StorageError
from anomaly.files import storing, work_name
from anomaly.times import utc_now

LOCK = ".lock"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


@contextmanager
def held(path: Path, what: str, *, wait: bool = False, instead: str = "choose another place") -> Iterator[None]:
    """Hold the lock file `path`, in a folder that exists. `what` is what error messages say is being written.

    Without `wait` it is had at once or not at all. `instead` is what else a user can do, in the imperative.

    Raises:
        InUseError: another holds it; the message says who, and since when.
        StorageError: the file cannot be made, or its file system has no locks.
    """
    lock = FileLock(path, blocking=wait, thread_local=False, fallback_to_soft=False, on_acquired=_sign)
    with storing(f"the lock of {what}", path.parent, instead="choose another folder"):
        if not path.parent.is_dir():  # filelock would make it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
        if not path.exists():  # where no file can be made, as in /proc, filelock takes it for another's lock, or waits
            path.touch()
        try:
            lock.acquire()
        except Timeout as error:
            raise InUseError(f"{_holder(path)} is writing {what}; wait until that has ended, or {instead}") from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            raise StorageError(
                f"{path.parent} is on a file system without locks ({error.strerror}), so two writers could spoil each "
                "other's files. Start its lock service (NFS 3: rpc.statd), or write to a local disk"
            ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows lets nobody delete an open file; filelock does it there
            path.unlink()
        lock.release()


@contextmanager
def writing_file(path: Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Be the only one who writes the file `path`. Raises as `held` does."""
    with held(path.with_name(work_name(path, "lock")), f"{what} {path}", wait=wait):
        yield


@contextmanager
def writing_folder(folder: Path, what: str) -> Iterator[None]:
    """Be the only one who writes into `folder`, which is made where it is missing, and removed if it stays empty.

    Raises as `held` does.
    """
    is_new = not folder.exists()
    with storing(what, folder, instead="choose another folder"):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with held(folder / LOCK, f"{what} in {folder}"):
            yield
    finally:
        if is_new:
            with suppress(OSError):  # it holds something
                folder.rmdir()


def _sign(descriptor: int) -> None:
    """Write into the lock file who has it now."""
    holder = {"host": socket.gethostname(), "process": os.getpid(), "since": utc_now("seconds")}
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(holder).encode())


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_bytes())
        return f"process {holder['process']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has just been taken or given back
        return "another process"
