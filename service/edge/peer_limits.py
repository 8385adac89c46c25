"""How long one peer may take, and how many there may be: what `protocol` holds peers to."""

from dataclasses import dataclass

MAX_PIPELINED = 100
"""Requests of one connection that wait for an answer before theirs. A few bytes of the peer are kilobytes here."""


@dataclass(frozen=True)
class PeerLimits:
    """How long one peer may take for a request or an answer, and how many peers there may be.

    After each `receive_timeout_s` of a request, `receive_rate` bytes of its body must have come for each of its
    seconds, and all of it within `receive_limit_s`. Of an answer half as many must have been taken.
    """

    receive_timeout_s: float
    receive_rate: int
    receive_limit_s: float
    max_connections: int
