"""Who calls, and what they may do: keys, scopes and the rate of each key.

A key is sent as `Authorization: Bearer KEY`, or as the password of `Basic`, for which browsers have a form. If the
server has keys, every path but PUBLIC needs one, paths that do not exist too. A route that needs a scope declares it
(`needs`). Without keys everybody who reaches the server may score; they may administer it only if it listens on
loopback, and no settings say that others reach it through a proxy.
"""

import base64
import binascii
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from service.edge.headers import check_single
from service.edge.keys import Key, Keyring, Scope
from service.edge.rates import RateLimit
from service.errors import ForbiddenError, RateLimitError, ServiceError, UnauthenticatedError, error_response
from service.settings import Settings, is_loopback

logger = logging.getLogger(__name__)

PUBLIC = frozenset({"/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""The paths that need no key; nor does what is below PUBLIC_FOLDER, the page's own parts."""
PUBLIC_FOLDER = "/static/"

BEARER = HTTPBearer(auto_error=False, description="A key made by `anomaly keys add`; needed once there are keys.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
"""Tells the API's documentation that a key is needed; the check is IdentifyCallers'."""
NEEDS_KEY: dict[str, list[dict[str, list[str]]]] = {"security": [{BEARER.scheme_name: []}]}
"""The same, for routes that check by themselves."""


def needs(scope: Scope) -> Callable[[Request, Credentials], Awaitable[None]]:
    """A dependency of routes that only keys with `scope` may call."""

    async def check(request: Request, credentials: Credentials) -> None:  # async: else the framework asks a thread
        check_scope(request, scope)

    return check


def check_scope(request: Request, scope: Scope) -> None:
    """Raise ForbiddenError unless the caller's key has `scope`; faster than `needs`, for frequent calls."""
    check_key(caller_of(request), scope)


def check_key(caller: Key | None, scope: Scope) -> None:
    """Raise ForbiddenError unless a key has `scope`."""
    if caller is None or scope not in caller.scopes:
        raise ForbiddenError(f"This needs a key with the scope {scope.value!r}, as `anomaly keys add` makes them.")


def caller_of(request: Request) -> Key | None:
    """The key that a request came with; None for a public one without."""
    caller: Key | None = request.state.caller
    return caller


class Callers:
    """Tells whose key a request has, and counts the requests of each key."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self.keyring = keyring
        self.rate = RateLimit(settings.rate_limit, settings.rate_burst)
        is_local = is_loopback(settings.host) and not (settings.trusted_proxies or settings.allowed_hosts)
        trusted = frozenset(Scope) if is_local else frozenset({Scope.SCORE})
        self.anyone = Key("anyone", trusted, sha256="")

    def identify(self, path: str, headers: list[tuple[bytes, bytes]]) -> Key | None:
        """The key of a request to `path`; None for a public one without.

        Raises MalformedRequestError with two keys, UnauthenticatedError without a key that is needed, RateLimitError if
        it asks too often.
        """
        check_single(headers, "Authorization")
        return self._known(path, Headers(raw=headers)) if self.keyring else self.anyone

    def _known(self, path: str, headers: Headers) -> Key | None:
        secret = _secret(headers.get("authorization", ""))
        found = self.keyring.find(secret) if secret else None
        caller = None if found and found.has_expired else found
        if path in PUBLIC or path.startswith(PUBLIC_FOLDER):
            return caller
        if found and caller is None:
            logger.warning("refused: the key %s has expired, its last day was %s (UTC)", found.name, found.expires)
            raise UnauthenticatedError(
                f"The key {found.name!r} has expired: its last day was {found.expires} (UTC). Ask those who run the "
                "server for a new one (`anomaly keys add`).",
                _challenge(headers),
            )
        if caller is None:
            raise UnauthenticatedError(
                f"{'This key is not known' if secret else 'This needs a key'}; send one that `anomaly keys add` made, "
                "as the header 'Authorization: Bearer KEY'.",
                _challenge(headers),
            )
        if wait_s := self.rate.take(caller.name):
            raise RateLimitError(
                f"The key {caller.name!r} asks more often than {self.rate.rate:g} times a second.",
                {"Retry-After": str(math.ceil(wait_s))},
            )
        return caller


class IdentifyCallers:
    """ASGI middleware that tells the app whose key a request has, and refuses requests that lack a key they need."""

    def __init__(self, app: ASGIApp, callers: Callers) -> None:
        self.app = app
        self.callers = callers

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the reason why not."""
        if scope["type"] == "http":
            try:
                caller = self.callers.identify(scope["path"], scope["headers"])
            except ServiceError as error:
                await error_response(error)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self.app(scope, receive, send)


def _secret(authorization: str) -> str:
    """The key in an Authorization header; empty if there is none."""
    kind, _, credentials = authorization.strip().partition(" ")
    match kind.lower():
        case "bearer":
            return credentials.strip()
        case "basic":
            try:
                return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""


def _challenge(headers: Headers) -> dict[str, str]:
    """How to send a key. A person's browser is offered `Basic`, which opens its form; the page's own script is not."""
    person = "text/html" in headers.get("accept", "")
    return {"WWW-Authenticate": 'Basic realm="anomaly: any name, and the key as password"' if person else "Bearer"}
