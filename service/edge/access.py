"""Which hosts and origins may call: this server's own names, and no pages of other web sites. `callers` checks keys.

A page of another site can make a browser send requests to 127.0.0.1. Two checks stop it. Its requests carry its
own address as `Origin`, which is not the `Host` they are sent to: refused with 403. If its name has been re-bound to
127.0.0.1, then both agree, but `Host` is its name: refused with 400. A numeric `Host` cannot be re-bound, so a server
that listens on all addresses accepts any numeric one, and further names only if `allowed_hosts` lists them. Load
balancers probe by HTTP/1.0 without a `Host`, which no browser does: PROBES are answered so too.

A proxy may put its upstream's address in the place of the `Host`. Then the `Origin` of the server's own page is one of
`allowed_hosts`, or the host that a trusted proxy says it was called by; or the browser itself says that page and
request have one origin (`Sec-Fetch-Site`, which no script can set, and which is sent to HTTPS and loopback only, so not
to a name that was re-bound).
"""

import ipaddress

from starlette.types import ASGIApp, Receive, Scope, Send

from anomaly.errors import UsageError
from service.edge.headers import check_single, header
from service.edge.proxies import distrusted, forwarded_host
from service.errors import CrossSiteError, ServiceError, UnknownHostError, error_response
from service.settings import Settings, is_loopback

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PROBES = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})


def check_exposure(settings: Settings) -> None:
    """Raise UsageError if other machines could reach a server that nothing protects."""
    if settings.trusted_proxies and not (settings.keys or settings.insecure):
        raise UsageError(
            "Refusing to serve behind a proxy (--trusted-proxies) without keys: whoever reaches the proxy could use "
            "the service. Make some (anomaly keys add NAME --file FILE) and give them with --keys FILE; or allow it "
            "with --insecure where the proxy asks who calls."
        )
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
        self._names = {name for host in settings.allowed_hosts for name in (host, host_name(host))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the reason why not."""
        if scope["type"] == "http":
            host = header(scope, b"host")
            try:
                check_single(scope["headers"], "Host")
                if host is not None or not _is_old_probe(scope):
                    self._check_host(host or "", scope)
                if (called := forwarded_host(scope)) is not None:
                    self._check_host(called, scope)
                if scope["method"] not in SAFE_METHODS and (origin := header(scope, b"origin")) is not None:
                    self._check_origin(origin, called or host or "", scope)
            except ServiceError as error:
                await error_response(error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check_host(self, host: str, scope: Scope) -> None:
        name = host_name(host)
        if not (is_loopback(name) or self._is_bound(name) or name in self._names):
            where = "the header X-Forwarded-Host" if forwarded_host(scope) == host else "the header Host"
            raise UnknownHostError(
                f"This server does not answer to the host {name[:80]!r}, which {where} names; call it by 127.0.0.1 or "
                f"localhost, or start it with --allowed-hosts {name[:80] or 'NAME'} (ANOMALY_ALLOWED_HOSTS)."
            )

    def _check_origin(self, origin: str, host: str, scope: Scope) -> None:
        own = origin.partition("://")[2].lower()
        if own and (own == host.lower() or own in self.settings.allowed_hosts):
            return
        if header(scope, b"sec-fetch-site") == "same-origin":
            return
        advice = [
            f"This server refused what a page of {origin[:80]!r} sent to the host {host[:80]!r}: only its own may.",
            f"If that is its own page, behind a proxy, start it with --allowed-hosts {own[:80] or 'NAME'} "
            "(ANOMALY_ALLOWED_HOSTS), or let the proxy pass the header Host on as it came, with the port.",
            distrusted(scope) or "",
        ]
        raise CrossSiteError(" ".join(filter(None, advice)))

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


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
