"""TLS connections: each counts from when it is accepted, so that peers that never shake hands are bounded too.

asyncio's own servers tell of a connection only after its handshake. Until then it has a descriptor all the same.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

from anomaly.errors import reason_of

logger = logging.getLogger(__name__)

NUM_TOLD = 32
"""Connections beyond the limit that still shake hands, to be told with a 503. Further ones are closed at once."""
ACCEPT_AGAIN_S = 1.0
"""After the system had no descriptor left; asyncio's own servers wait as long."""


class HandshakeServer:
    """Accepts the connections of one listener, from its making until it is closed; for the event loop's thread."""

    def __init__(
        self,
        listener: socket.socket,
        shake_hands: Callable[[socket.socket], Awaitable[object]],
        *,
        num_open: Callable[[], int],
        max_open: int,
        on_refused: Callable[[str], object],
    ) -> None:
        """`shake_hands` raises OSError where there is no handshake, and closes the connection then.

        `num_open` is how many connections have shaken hands and are open, `max_open` how many may be. `on_refused` is
        told the address of each peer whose connection is closed at once.
        """
        listener.setblocking(False)
        self._listener = listener
        self._shake_hands = shake_hands
        self._num_open = num_open
        self._most = max_open + NUM_TOLD
        self._on_refused = on_refused
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept_all())

    def close(self) -> None:
        """Accept no further connection; those that shake hands may go on."""
        self._accepting.cancel()

    async def wait_closed(self) -> None:
        """Return once no connection is accepted any more."""
        await asyncio.wait([self._accepting])

    async def _accept_all(self) -> None:
        while True:
            await asyncio.sleep(0)  # others have their turn too, however many connect
            try:
                connection, (peer, *_) = await asyncio.get_running_loop().sock_accept(self._listener)
            except ConnectionAbortedError:
                continue
            except OSError as error:
                logger.error("no connection can be accepted now: %s", reason_of(error))
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            if self._num_open() + len(self._handshakes) >= self._most:
                connection.close()
                self._on_refused(peer)
                continue
            handshake = asyncio.create_task(self._greet(connection, peer))
            self._handshakes.add(handshake)
            handshake.add_done_callback(self._handshakes.discard)

    async def _greet(self, connection: socket.socket, peer: str) -> None:
        with suppress(OSError):
            try:
                await self._shake_hands(connection)
            except ssl.SSLError as error:  # the peer spoke: it refuses the certificate, or speaks HTTP without TLS
                logger.info("a TLS handshake failed: %s", error.reason, extra={"fields": {"client": peer}})
