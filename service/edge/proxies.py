"""What proxies say of a request: who sent it (`X-Forwarded-For`), and by which scheme and host (`-Proto`, `-Host`).

Anybody can send these headers, so they are taken only from peers whose addresses are in `trusted_proxies`. Each proxy
appends what it saw. So of several addresses the right one is the last that is no trusted proxy, and of several schemes
or hosts the last one.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from service.edge.headers import header

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = Iterable[tuple[bytes, bytes]]


class TrustedProxies:
    """Knows which peers are trusted proxies."""

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self._networks = networks
        self._is_trusted = lru_cache(maxsize=1024)(self._look_up)

    def trusts(self, peer: str | None) -> bool:
        """Whether a peer's headers are believed."""
        return bool(self._networks) and peer is not None and self._is_trusted(peer)

    def client_of(self, peer: str | None, headers: Headers) -> str | None:
        """The address that sent a request first, as far as trusted proxies tell; else the peer's."""
        if not self.trusts(peer):
            return peer
        client = peer
        for said in reversed(_values(headers, b"x-forwarded-for")):
            address = _parse(said)
            if address is None:
                break  # what a proxy cannot tell ends the chain
            client = str(address)
            if not self._is_trusted(client):
                break
        return client

    def _look_up(self, peer: str) -> bool:
        address = _parse(peer)
        return address is not None and any(address in network for network in self._networks)


class HeedProxies:
    """ASGI middleware that lets a request say what trusted proxies say of it: `client`, `scheme`, the called host.

    The host goes into `state`, as `forwarded_host`, for `GuardAccess`: the `Host` itself is checked all the same.
    """

    def __init__(self, app: ASGIApp, proxies: TrustedProxies) -> None:
        self.app = app
        self.proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and scope.get("client"):
            peer, port = scope["client"]
            if self.proxies.trusts(peer):
                headers = scope["headers"]
                client = self.proxies.client_of(peer, headers)
                scope["client"] = (client, port if client == peer else 0)
                if (schemes := _values(headers, b"x-forwarded-proto")) and schemes[-1] in ("http", "https"):
                    scope["scheme"] = schemes[-1]
                if hosts := _values(headers, b"x-forwarded-host"):
                    scope.setdefault("state", {})["forwarded_host"] = hosts[-1]
        await self.app(scope, receive, send)


def forwarded_host(scope: Scope) -> str | None:
    """The host that a trusted proxy was called by, if it says so."""
    host: str | None = scope.get("state", {}).get("forwarded_host")
    return host


def distrusted(scope: Scope) -> str | None:
    """A sentence on forwarded headers that were not believed, for those who wonder why; None if there are none."""
    if forwarded_host(scope) or header(scope, b"x-forwarded-host") is None:
        return None
    peer = (scope.get("client") or ["unknown"])[0]
    return (
        f"The X-Forwarded-Host of the proxy {peer} is not heeded, as it is not named in --trusted-proxies "
        "(ANOMALY_TRUSTED_PROXIES)."
    )


def _values(headers: Headers, name: bytes) -> list[str]:
    """The parts of all headers of a name, in order."""
    found = b",".join(value for key, value in headers if key == name).decode("latin-1")
    return [part.strip() for part in found.split(",") if part.strip()]


def _parse(said: str) -> Address | None:
    """An address, maybe in brackets or with a port; of one that is IPv4 within IPv6, the IPv4."""
    bare = said
    if said.startswith("["):
        bare = said[1:].partition("]")[0]
    elif said.count(":") == 1:
        bare = said.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
