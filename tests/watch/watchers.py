"""A watcher at work in a thread of the test, and what can be waited for."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anomaly.watch.watching import WatchOptions, WatchSummary, watch_folder

WAIT_S = 60.0


class Watcher:
    """What it said, and its summary once it was stopped."""

    def __init__(self, options: WatchOptions) -> None:
        self.said: list[str] = []
        self.summary = WatchSummary()
        self.error: Exception | None = None
        self.stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(options,))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(WAIT_S)
        if self.error is not None:
            raise self.error

    def end(self) -> WatchSummary:
        self.stop.set()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.summary

    def _run(self, options: WatchOptions) -> None:
        try:
            self.summary = watch_folder(options, self.stop, say=self.said.append, on_ready=self._ready.set)
        except Exception as error:
            self.error = error
        self._ready.set()


@contextmanager
def watching(model: Path, folder: Path, to: str | Path, **more: Any) -> Iterator[Watcher]:
    """A watcher until the end of the block."""
    settings: dict[str, Any] = {"settle_s": 0.2, "device": "cpu"} | more
    watcher = Watcher(WatchOptions(model=model, folder=folder, to=str(to), **settings))
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop.set()
        watcher._thread.join(WAIT_S)


def wait_for(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def rows_of(file: Path) -> list[dict[str, Any]]:
    """The whole lines of a file that may not be there yet."""
    text = file.read_bytes() if file.exists() else b""
    return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
