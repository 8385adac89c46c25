"""When to look into a folder: when the system says that something happened there, or every so many seconds.

What the system says is a hint and no more. Events can be lost, so all is looked at once a minute; files of other
machines on a network drive make no events, so there it is done by polling.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from anomaly.errors import UsageError, reason_of

RESCAN_S = 60.0
_MAX_S = 86_400.0
_IDLE_MS = 100  # the longest wait for an event: files that only have to settle, and reports that wait, make none


def check_times(settle_s: float, poll_s: float | None) -> None:
    """Raises UsageError where one is no time, or longer than a day: with inf nothing would ever be scored."""
    for name, seconds in (("settle", settle_s), ("poll", poll_s)):
        if seconds is not None and not 0 <= seconds <= _MAX_S:
            raise UsageError(f"--{name} is a time in seconds, from 0 to {_MAX_S:,.0f}; got {seconds!r}")


def changes(folder: Path, stop: Event, *, poll_s: float | None) -> Iterator[set[Path] | None]:
    """Files that something happened to, maybe none; None to look at all. It ends when `stop` is set.

    Raises:
        UsageError: the system cannot watch the folder.
    """
    yield None
    looked = time.monotonic()
    rescan_s = RESCAN_S if poll_s is None else poll_s
    for found in _events(folder, stop) if poll_s is None else _nothing(stop):
        if found is None or time.monotonic() - looked >= rescan_s:
            looked = time.monotonic()
            yield None
        else:
            yield found


def _nothing(stop: Event) -> Iterator[set[Path]]:
    while not stop.wait(_IDLE_MS / 1000):
        yield set()


def _events(folder: Path, stop: Event) -> Iterator[set[Path] | None]:
    """The same without the look at all once a minute."""
    import watchfiles

    has_begun = False
    while not stop.is_set():
        try:
            for found in watchfiles.watch(
                folder,
                watch_filter=None,
                debounce=200,
                step=20,
                rust_timeout=_IDLE_MS,
                yield_on_timeout=True,
                stop_event=stop,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                yield {Path(path) for _, path in found} if has_begun else None
                has_begun = True
        except OSError as error:
            if not has_begun:
                raise UsageError(
                    f"the system cannot watch {folder} for changes ({reason_of(error)}); give --poll 2 to look every 2 "
                    "seconds"
                ) from error
            stop.wait(1.0)  # the folder is gone; who reads this says so
            yield None
