"""Which hosts and origins may call: this server's own names, and no pages of other web sites. `callers` checks keys.

A page of another site can make a browser send requests to 127.0.0.1. Two checks stop it. Its requests carry its
own address as `Origin`, which is not the `Host` they are sent to: refused with 403. If its name has been re-bound to
127.0.0.1, then both agree, but `Host` is its name: refused with 400. A numeric `Host` cannot be re-bound, so a server
that listens on all addresses accepts any numeric one, and further names only if `allowed_hosts` lists them. Load
balancers probe by HTTP/1.0 without a `Host`, which no browser does: PROBES are answered so too.
"""

import ipaddress

from starlette.types import ASGIApp, Receive, Scope, Send

from anomaly.errors import UsageError
from service.edge.headers import header
from service.errors import CrossSiteError, ServiceError, UnknownHostError, error_response
from service.settings import Settings, is_loopback

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PROBES = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})


def check_exposure(settings: Settings) -> None:
    """Raise UsageError if other machines could reach a server that nothing protects."""
    if not (is_loopback(settings.host) or settings.keys or settings.insecure):
        raise UsageError(
            f"Refusing to listen on {settings.host!r}: whoever reaches it could use the service, as it has no keys. "
            "Make some (anomaly keys add NAME --file FILE) and give them with --keys FILE; or listen on 127.0.0.1; "
            "or allow it with --insecure where something else protects it."
        )


class GuardAccess:
    """ASGI middleware that refuses requests for other hosts and from other sites' pages."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the reason why not."""
        if scope["type"] == "http":
            host = header(scope, b"host")
            try:
                if host is not None or not _is_old_probe(scope):
                    self._check_host(host or "")
                if scope["method"] not in SAFE_METHODS:
                    _check_origin(header(scope, b"origin"), host or "")
            except ServiceError as error:
                await error_response(error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check_host(self, host: str) -> None:
        name = host_name(host)
        if not (is_loopback(name) or self._is_bound(name) or name in self.settings.allowed_hosts):
            raise UnknownHostError(
                f"This server does not answer to the host {name[:80]!r}; call it by 127.0.0.1 or localhost, "
                "or name it in ANOMALY_ALLOWED_HOSTS when starting the server."
            )

    def _is_bound(self, name: str) -> bool:
        bound = self.settings.host
        return name == bound.lower() or (bound in ("0.0.0.0", "::") and _is_address(name))  # noqa: S104  # compared, not bound


def host_name(host: str) -> str:
    """The name or address in a Host header, without port and brackets, in small letters."""
    name, _, after = host.lower().rpartition(":")
    if not name or after.endswith("]"):
        name = host.lower()
    return name.removeprefix("[").removesuffix("]").removesuffix(".")  # a full name may end in a dot


def _is_old_probe(scope: Scope) -> bool:
    return scope.get("http_version") == "1.0" and scope["method"] in SAFE_METHODS and scope["path"] in PROBES


def _check_origin(origin: str | None, host: str) -> None:
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        raise CrossSiteError(f"A page of {origin[:80]!r} may not post to this server; only its own pages may.")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
