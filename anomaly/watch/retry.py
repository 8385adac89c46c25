"""When to try again what has failed, and what is said of it."""

import time
from collections.abc import Callable

FIRST_S, LAST_S = 1.0, 60.0


class Retry:
    """After a second, two, four, at most a minute. A failure is said once; `meanwhile` is what holds until it ends."""

    def __init__(self, meanwhile: str, say: Callable[[str], None]) -> None:
        self._meanwhile = meanwhile
        self._say = say
        self._reason = ""
        self._wait_s = FIRST_S
        self._next = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the time has come."""
        return time.monotonic() >= self._next

    def fail(self, reason: str) -> None:
        """Count a failure: the next try is later. It is told, unless the reason is that of the one before."""
        self._next = time.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, LAST_S)
        if reason != self._reason:
            self._say(f"{reason}; {self._meanwhile}, and it is tried again")
        self._reason = reason

    def succeed(self) -> None:
        """Count a success: it is told where there was a failure before."""
        if self._reason:
            self._say(f"it works again: {self._reason}")
        self._reason, self._wait_s, self._next = "", FIRST_S, 0.0
