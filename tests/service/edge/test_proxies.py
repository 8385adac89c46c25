"""Who is believed of what proxies say, and of several values which."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from service.edge.proxies import HeedProxies, TrustedProxies
from service.settings import Settings, read_settings

TRUSTED = TrustedProxies(Settings(trusted_proxies="127.0.0.1, 10.0.0.0/8,fd00::/8").trusted_proxies)  # type: ignore[arg-type]


def client(peer: str | None, *said: str, proxies: TrustedProxies = TRUSTED) -> str | None:
    return proxies.client_of(peer, [(b"x-forwarded-for", value.encode("latin-1")) for value in said])


@pytest.mark.parametrize(
    ("peer", "said", "expected"),
    [
        ("127.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("127.0.0.1", ("made.up, 198.51.100.1, 203.0.113.9",), "203.0.113.9"),
        ("127.0.0.1", ("198.51.100.1", "203.0.113.9"), "203.0.113.9"),
        ("127.0.0.1", ("203.0.113.9, 10.1.2.3", "10.0.0.7"), "203.0.113.9"),
        ("127.0.0.1", ("10.1.2.3",), "10.1.2.3"),
        ("127.0.0.1", ("203.0.113.9:4711",), "203.0.113.9"),
        ("127.0.0.1", ("[2001:db8::7]:4711",), "2001:db8::7"),
        ("127.0.0.1", ("2001:db8::7",), "2001:db8::7"),
        ("127.0.0.1", ("unknown",), "127.0.0.1"),
        ("127.0.0.1", ("203.0.113.9, unknown, 10.0.0.7",), "10.0.0.7"),
        ("127.0.0.1", ("\xff\n", ""), "127.0.0.1"),
        ("127.0.0.1", (), "127.0.0.1"),
        ("::ffff:10.0.0.7", ("203.0.113.9",), "203.0.113.9"),
        ("fd00::1", ("203.0.113.9",), "203.0.113.9"),
        ("11.0.0.7", ("203.0.113.9",), "11.0.0.7"),
        ("::1", ("203.0.113.9",), "::1"),
        (None, ("203.0.113.9",), None),
    ],
)
def test_the_client_is_the_last_that_is_no_trusted_proxy(
    peer: str | None, said: tuple[str, ...], expected: str | None
) -> None:
    assert client(peer, *said) == expected


def test_nobody_is_believed_unless_named_loopback_neither() -> None:
    for peer in ("127.0.0.1", "::1", "10.0.0.7"):
        assert client(peer, "203.0.113.9", proxies=TrustedProxies(Settings().trusted_proxies)) == peer


def heeded(peer: str, *headers: tuple[str, str]) -> Scope:
    """A request's scope as the app sees it."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "scheme": "http", "client": (peer, 4711), "headers": raw}
    asyncio.run(HeedProxies(app, TRUSTED)(scope, nothing, nothing))
    return seen[0]


def test_scheme_and_host_are_the_last_that_were_said() -> None:
    said = [("x-forwarded-proto", "http, https"), ("x-forwarded-host", "made.up, plant.example:8443")]
    scope = heeded("10.0.0.7", ("x-forwarded-for", "203.0.113.9"), *said)
    assert (scope["client"], scope["scheme"], scope["state"]) == (
        ("203.0.113.9", 0), "https", {"forwarded_host": "plant.example:8443"},
    )  # fmt: skip
    scope = heeded("203.0.113.9", *said)
    assert (scope["client"], scope["scheme"], "state" in scope) == (("203.0.113.9", 4711), "http", False)
    scope = heeded("10.0.0.7", ("x-forwarded-proto", "gopher"))
    assert (scope["client"], scope["scheme"]) == (("10.0.0.7", 4711), "http")


@pytest.mark.parametrize("wrong", ["localhost", "10.0.0.7/8", "10.0.0.0/33", "*"])
def test_what_is_no_address_or_network_is_refused(wrong: str) -> None:
    with pytest.raises(Exception, match="trusted_proxies"):
        read_settings(trusted_proxies=wrong)
