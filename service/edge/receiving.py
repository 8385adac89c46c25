"""How long a peer takes to send a request."""

import asyncio
from collections.abc import Callable

from service.edge.peer_limits import PeerLimits


class Receiving:
    """While it is on, a request is on its way. After each timeout of `limits`, `check` says whether to wait on.

    `check` is given how many bytes of the body came since the last, and whether the time for the whole request is over.
    """

    def __init__(self, limits: PeerLimits, loop: asyncio.AbstractEventLoop, check: Callable[[int, bool], bool]) -> None:
        self._limits = limits
        self._loop = loop
        self._is_to_go_on = check
        self._timer: asyncio.TimerHandle | None = None
        self._until, self._num_body_bytes = 0.0, 0

    @property
    def is_on(self) -> bool:
        """Whether a request is on its way."""
        return self._timer is not None

    def start(self) -> None:
        """A request begins, unless one has begun already."""
        if self._timer is None:
            self._until = self._loop.time() + self._limits.receive_limit_s
            self._wait()

    def stop(self) -> None:
        """The request is whole, or given up."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def start_anew(self) -> None:
        """What has passed so far does not count, if a request has begun."""
        if self._timer is not None:
            self.stop()
            self.start()

    def count(self, num_body_bytes: int) -> None:
        """So many bytes of its body came."""
        self._num_body_bytes += num_body_bytes

    def _wait(self) -> None:
        self._num_body_bytes = 0
        left_s = self._until - self._loop.time()
        self._timer = self._loop.call_later(min(self._limits.receive_timeout_s, left_s), self._check)

    def _check(self) -> None:
        self._timer = None
        is_over = self._loop.time() >= self._until
        if not self._is_to_go_on(self._num_body_bytes, is_over):
            return
        if is_over:
            self.start()
        else:
            self._wait()
