"""How many requests a key may make: a token bucket each, so that one client cannot use up the service."""

import time
from collections.abc import Callable


class RateLimit:
    """`rate` requests a second in the long run, `burst` at once, for each name. Use it from one thread."""

    def __init__(self, rate: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """Take a token and return 0, or return in how many seconds there will be one."""
        now = self._clock()
        tokens, since = self._buckets.get(name, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - since) * self.rate)
        wait_s = max(0.0, (1.0 - tokens) / self.rate)
        self._buckets[name] = (tokens if wait_s else tokens - 1.0, now)
        return wait_s
