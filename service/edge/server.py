"""uvicorn's server, with limits on what it waits for; it says at once that it is about to stop."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from anomaly.errors import UsageError, reason_of
from service.edge.certificates import Certificate
from service.edge.handshakes import HandshakeServer
from service.edge.load_shedding import LoadShedding
from service.edge.peer_limits import PeerLimits
from service.edge.protocol import BoundedProtocol
from service.edge.untaken import UntakenAnswers
from service.settings import Settings

KEEP_ALIVE_S = 75
"""How long a connection may wait for its next request. Clients of a production line pause for less: a close may cross
a request that is on its way, which is then lost."""


class Server(uvicorn.Server):
    """Calls `on_stop` the moment it is told to stop; then it answers what was accepted, for `settings.grace_s`."""

    def __init__(
        self, app: FastAPI, settings: Settings, *, shedding: LoadShedding, on_stop: Callable[[], None], **options: Any
    ) -> None:
        """`options` are uvicorn's, in place of those chosen here."""
        limits = PeerLimits(
            settings.receive_timeout_s,
            settings.receive_rate,
            settings.receive_limit_s,
            settings.max_connections,
        )
        untaken = UntakenAnswers(settings.max_queue_bytes, settings.max_connections)
        chosen: dict[str, Any] = {
            "http": partial(BoundedProtocol, limits=limits, shedding=shedding, untaken=untaken),
            "ws": "none",
            "log_config": None,
            "log_level": "warning",
            "access_log": False,
            "server_header": False,
            "proxy_headers": False,
            "timeout_keep_alive": KEEP_ALIVE_S,
            "timeout_graceful_shutdown": settings.grace_s,
            "ssl_certfile": settings.tls_cert,
            "ssl_keyfile": settings.tls_key,
        }
        super().__init__(uvicorn.Config(app, **(chosen | options)))
        self._on_stop = on_stop
        self._settings = settings
        self._shedding = shedding
        self._certificate: Certificate | None = app.state.certificate

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the sockets as uvicorn does, but wait no longer for a peer's part of TLS than for its request."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets=[])
        config = self.config
        make: Callable[..., asyncio.Protocol] = config.http_protocol_class
        protocol = partial(make, config=config, server_state=self.server_state, app_state=self.lifespan.state)
        for listener in sockets or []:
            if config.ssl is None:
                self.servers.append(await self._loop.create_server(protocol, sock=listener, backlog=config.backlog))
                continue
            limit_s = self._settings.receive_timeout_s
            shake_hands = partial(
                self._loop.connect_accepted_socket,
                protocol,
                ssl=config.ssl,
                ssl_handshake_timeout=limit_s,
                ssl_shutdown_timeout=limit_s,
            )
            listener.listen(config.backlog)
            server = HandshakeServer(
                listener,
                shake_hands,
                num_open=lambda: len(self.server_state.connections),
                max_open=self._settings.max_connections,
                on_refused=self._shedding.connection_refusal,
            )
            self.servers.append(server)  # type: ignore[arg-type]  # all that uvicorn does with it is to close it

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does. Connections that are still open then have their answer, or do not take it."""
        await super().shutdown(sockets)
        left = [connection.transport for connection in self.server_state.connections]
        for transport in left:
            transport.close()
        await asyncio.sleep(0)
        for transport in left:
            transport.abort()
        await asyncio.sleep(0)

    def renew_certificate(self) -> None:
        """Show the certificate that the files have now to peers that connect from here on; a bad one is only logged."""
        if self._certificate and self.started and self.config.ssl:  # which only the loop's thread uses
            self._loop.call_soon_threadsafe(self._certificate.renew, self.config.ssl)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called at a signal."""
        self._on_stop()
        super().handle_exit(sig, frame)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises UsageError if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = reason_of(error).partition(" (while")[0]
        raise UsageError(
            f"Cannot listen on {host} port {port}: {reason}. Choose another port with --port, "
            "or stop the program that uses this one."
        ) from None
    listener.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # else an answer's body waits 40 ms for its head's ACK
    return listener
