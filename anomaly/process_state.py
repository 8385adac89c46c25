"""What a process has once, and one thread at a time may use: torch's random numbers and threads, and its tracing.

A training seeds the random numbers of the whole process, and sets how many threads torch has. The ONNX exporter changes
torch's own functions while it traces. Two threads that did this at once would draw each other's numbers.
So what trains or traces owns this state, and others wait. A process that was forked begins with nobody who owns it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock


class _Owned:
    """The lock, which a thread that holds it may take again."""

    def __init__(self) -> None:
        self.lock = RLock()
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = RLock()


_owned = _Owned()


@contextmanager
def owning_process_state() -> Iterator[None]:
    """Be the only thread of this process that trains or traces; also a decorator."""
    with _owned.lock:
        yield
