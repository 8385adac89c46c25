"""Security headers of every answer: browsers guess no types, show it in no frame, send no referrer, cache nothing.

An answer's own headers win: the page and the documentation have policies of their own. There are no CORS headers, so
other sites' pages cannot read answers; only the service's own pages can.
"""

import asyncio
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import MalformedRequestError, ShuttingDownError, error_response

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
RAW = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


def header(scope: Scope, name: bytes) -> str | None:
    """The first of a request's headers with that name, in small letters; faster than the framework's mapping."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


def check_single(headers: Iterable[tuple[bytes, bytes]], name: str) -> None:
    """Raise MalformedRequestError if a request has more than one header of that name.

    A proxy might go by the one, and this server by the other. For `Host` it is asked for (RFC 9112, section 3.2).
    """
    wanted = name.lower().encode()
    if (num := sum(key == wanted for key, _ in headers)) > 1:
        raise MalformedRequestError(f"The request has {num} headers {name}; send one.")


class SecureAnswers:
    """ASGI middleware that adds HEADERS to each answer that lacks them.

    An unforeseen error is answered here, and raised again for the server's log: the framework would answer it outside
    of all middleware, so without these headers and the request's id. So is a request that the server cancels, which it
    does when it stops and its grace is over; that is foreseen, and goes no further.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        is_started = False

        async def send_secured(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                own = list(message.get("headers", ()))
                names = {name for name, _ in own}
                message["headers"] = own + [header for header in RAW if header[0] not in names]
            await send(message)

        try:
            await self.app(scope, receive, send_secured)
        except Exception as error:
            if scope["type"] == "http" and not is_started:
                await error_response(error)(scope, receive, send_secured)
            raise
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            if not is_started:
                late = ShuttingDownError(
                    "The server is shutting down, and has given this request up; try again shortly."
                )
                await error_response(late)(scope, receive, send_secured)
