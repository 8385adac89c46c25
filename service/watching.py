"""Every request gets an id, a line in the log, and its place in the counts."""

import logging
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.headers import header
from service.logs import choose_id, request_id
from service.telemetry import Telemetry

logger = logging.getLogger(__name__)


class WatchRequests:
    """ASGI middleware, outermost: counts, times and logs each HTTP request by its route's template and its status code.

    The id comes from `X-Request-ID` or is made, and goes back in the same header. An exception counts as 500.
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.app = app
        self.telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = perf_counter()
        code = 500
        identity = choose_id(header(scope, b"x-request-id"))
        request_id.set(identity)  # not reset: the server's own lines on this request come after

        async def send_noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identity.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        finally:
            self._note(scope, code, perf_counter() - start)

    def _note(self, scope: Scope, code: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self.telemetry.observe_request(route, code, seconds)
        caller, (client, *_) = scope.get("state", {}).get("caller"), scope.get("client") or [None]
        log_request(scope["method"], route, code, seconds, caller=caller.name if caller else None, client=client)


def log_request(method: str, route: str, code: int, seconds: float, *, caller: str | None, client: str | None) -> None:
    """The line of one answered request."""
    if not logger.isEnabledFor(logging.INFO):
        return
    fields = {
        "method": method[:16],
        "route": route,
        "status": code,
        "seconds": round(seconds, 6),
        "caller": caller,
        "client": client,
    }
    told = fields["method"], route, code, seconds * 1e3
    logger.info("%s %s %d in %.1f ms", *told, extra={"fields": fields})
