"""Room for one connection more: that of a peer which asks for nothing is closed, the one that is idle the longest.

A connection is kept between requests for more than a minute. So a few peers with pools of connections, or one that
means it, would keep all others out, and the probes of an orchestrator too, which then ends the server.
"""

import math
from collections.abc import Iterable
from operator import attrgetter
from typing import Protocol


class Kept(Protocol):
    """A connection."""

    @property
    def idle_until(self) -> float:
        """When it is closed if no request comes; infinite if it is not idle."""

    def timeout_keep_alive_handler(self) -> None:
        """Close it as if that time had come."""


def make_room(connections: Iterable[Kept]) -> bool:
    """Close one of the connections, at least one, that has no request; False if none is idle."""
    longest = min(connections, key=attrgetter("idle_until"))
    if longest.idle_until == math.inf:
        return False
    longest.timeout_keep_alive_handler()
    return True
