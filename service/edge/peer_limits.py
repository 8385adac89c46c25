"""How long one peer may take, and how many there may be: what `protocol` holds peers to."""

from dataclasses import dataclass

MAX_HEAD_BYTES = 64 * 2**10
"""Of what is not body: head, chunk sizes, trailers."""
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

    def lack(self, num_bytes: int, *, is_in_head: bool, is_over: bool) -> str | None:
        """Why a peer is cut off that has sent so many bytes of a body in `receive_timeout_s`; None if it may go on."""
        if is_over:
            return f"The whole request did not come within {self.receive_limit_s:g} s."
        if is_in_head:
            return f"The request's head did not come within {self.receive_timeout_s:g} s."
        if num_bytes < self.receive_rate * self.receive_timeout_s:
            return (
                f"In the last {self.receive_timeout_s:g} s came {num_bytes} bytes of the request's body, which is less "
                f"than {self.receive_rate} a second."
            )
        return None
