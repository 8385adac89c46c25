"""How a connection ends, so that its peer can still read the last answer.

A system that closes a connection on which something has come unread tells the peer so, and drops what it has not sent.
The peer then loses the answer, or never looks for it, because it cannot send on (RFC 9112, section 9.6). That meets who
is refused while the body is on its way. So the server first says that it will send no more, and reads on for a while.
"""

import asyncio
from collections.abc import Callable

LINGER_S = 0.5
"""How long what a peer is still sending is read after the last answer, and how long a connection without a request
stays open when the server stops."""


class Ending:
    """What a request's cycle in uvicorn has for its transport, so that `close` is not the system's own."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


def send_no_more(transport: asyncio.Transport) -> None:
    """Let the peer see the end of the answers, but read on. TLS cannot."""
    if transport.can_write_eof():
        transport.write_eof()
