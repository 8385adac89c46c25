"""Whether a peer takes its answer, however long that is.

The buffer of a connection does not tell: the system's own buffer behind it may have megabytes, and takes more in jumps
only. Linux counts the bytes that the peer has acknowledged (`struct tcp_info` in its linux/tcp.h).
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable

from service.edge.peer_limits import PeerLimits
from service.edge.untaken import UntakenAnswers

logger = logging.getLogger(__name__)

_ACKNOWLEDGED = struct.Struct("=120xQ")
"""Where `tcpi_bytes_acked` is."""


class Taking:
    """While it is on, a peer must take half the rate of `limits`, over each of its timeouts; else `cut_off` is called.

    So it is if the answers in `untaken` are too many bytes together.
    """

    def __init__(self, limits: PeerLimits, untaken: UntakenAnswers, *, cut_off: Callable[[], None]) -> None:
        self._rate = limits.receive_rate / 2
        self._timeout_s = limits.receive_timeout_s
        self._untaken = untaken
        self._cut_off = cut_off
        self._timer: asyncio.TimerHandle | None = None
        self._num_before = 0

    @property
    def is_on(self) -> bool:
        """Whether a peer has still to take something."""
        return self._timer is not None

    def start(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        """An answer waits for its peer."""
        if self._timer is None:
            self._num_before = _num_taken(transport)
            self._timer = loop.call_later(self._timeout_s, self._check, loop, transport)
            self._untaken.add(transport, self._cut_off)

    def stop(self) -> None:
        """None does any more."""
        self._untaken.remove(self._cut_off)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._timer = None
        if not transport.get_write_buffer_size():
            self.stop()
            return
        num = _num_taken(transport) - self._num_before
        if num >= self._rate * self._timeout_s:
            self.start(loop, transport)
            return
        logger.warning(
            "an answer was cut off: in the last %g s its peer took %d bytes of it, which is less than %g a second",
            *(self._timeout_s, num, self._rate),
        )
        self._cut_off()


def _num_taken(transport: asyncio.Transport) -> int:
    """Bytes, counted from any point: only the difference of two calls says something, while nothing is written."""
    connection = transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_INFO"):
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        if len(info) >= _ACKNOWLEDGED.size:
            (acknowledged,) = _ACKNOWLEDGED.unpack_from(info)
            return int(acknowledged)
    return -transport.get_write_buffer_size()
