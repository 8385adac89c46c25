"""uvicorn's server, with limits on what it waits for; it says at once that it is about to stop."""

from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from service.edge.load_shedding import LoadShedding
from service.edge.protocol import BoundedProtocol, PeerLimits
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
        chosen: dict[str, Any] = {
            "http": partial(BoundedProtocol, limits=limits, shedding=shedding),
            "ws": "none",
            "log_config": None,
            "log_level": "warning",
            "access_log": False,
            "server_header": False,
            "proxy_headers": False,
            "timeout_keep_alive": KEEP_ALIVE_S,
            "timeout_graceful_shutdown": settings.grace_s,
        }
        super().__init__(uvicorn.Config(app, **(chosen | options)))
        self._on_stop = on_stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called at a signal."""
        self._on_stop()
        super().handle_exit(sig, frame)
