import asyncio
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from anomaly.errors import UsageError
from service.edge.access import GuardAccess, check_exposure, host_name
from service.settings import Settings
from tests.service.edge.test_protocol import connected, rest, status_and_code
from tests.service.fakes import Instance

LOCAL = Settings()


def status(
    *,
    method: str = "GET",
    host: str | None = "127.0.0.1:8000",
    origin: str | None = None,
    fetched_from: str | None = None,
    forwarded: str | None = None,
    settings: Settings = LOCAL,
) -> int:
    """What a guarded app that always says 200 answers."""
    answers: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answers.append(message["status"])

    given = ((b"host", host), (b"origin", origin), (b"sec-fetch-site", fetched_from))
    headers = [(k, v.encode()) for k, v in given if v is not None]
    scope: Scope = {"type": "http", "method": method, "headers": headers}
    if forwarded:
        scope["state"] = {"forwarded_host": forwarded}
    asyncio.run(GuardAccess(app, settings)(scope, receive, send))
    return answers[0]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "127.0.0.1", "localhost:8000", "LocalHost", "localhost.", "[::1]:8000", "[::1]"]
)
def test_loopback_hosts_are_answered(host: str) -> None:
    assert status(host=host) == 200


@pytest.mark.parametrize(
    "host", [None, "", "evil.example:8000", "localhost.evil.example", "10.0.0.7:8000", "[fe80::1]:1"]
)
def test_other_hosts_are_refused(host: str | None) -> None:
    assert status(host=host) == 400


def test_the_bound_address_is_answered() -> None:
    settings = Settings(host="10.0.0.7", insecure=True)
    assert status(host="10.0.0.7:8000", settings=settings) == 200
    assert status(host="10.0.0.8:8000", settings=settings) == 400


def test_a_server_on_all_addresses_answers_to_any_address_but_to_no_unknown_name() -> None:
    settings = Settings(host="0.0.0.0", insecure=True)  # noqa: S104  # not bound here
    assert status(host="10.0.0.7:8000", settings=settings) == 200
    assert status(host="[2001:db8::1]:8000", settings=settings) == 200
    assert status(host="evil.example", settings=settings) == 400


def test_allowed_names_are_answered() -> None:
    settings = Settings(allowed_hosts=("scores.example",))
    assert status(host="Scores.example:8000", settings=settings) == 200
    assert status(host="other.example", settings=settings) == 400


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, 200),
        ("http://127.0.0.1:8000", 200),
        ("http://127.0.0.1:3000", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_only_own_pages_may_post(origin: str | None, expected: int) -> None:
    assert expected == status(method="POST", origin=origin)
    assert status(method="GET", origin=origin) == 200


def test_a_rebound_name_is_refused_although_host_and_origin_agree() -> None:
    assert status(method="POST", host="evil.example", origin="http://evil.example") == 400


@pytest.mark.parametrize(
    ("origin", "allowed", "expected"),
    [
        ("http://plant.example", ("plant.example",), 200),
        ("https://plant.example", ("plant.example",), 200),
        ("http://plant.example:8080", ("plant.example:8080",), 200),
        ("http://plant.example:8080", ("plant.example",), 403),  # another program of that machine
        ("http://plant.example", ("other.example",), 403),
        ("http://plant.example", (), 403),
    ],
)
def test_a_page_of_an_allowed_name_is_its_own_whatever_the_proxy_made_of_the_host(
    origin: str, allowed: tuple[str, ...], expected: int
) -> None:
    assert expected == status(method="POST", origin=origin, settings=Settings(allowed_hosts=allowed))
    host = origin.partition("://")[2]
    assert status(host=host, settings=Settings(allowed_hosts=allowed)) == (200 if "plant" in str(allowed) else 400)


@pytest.mark.parametrize(("site", "expected"), [("same-origin", 200), ("same-site", 403), ("cross-site", 403)])
def test_a_browser_that_says_that_it_is_the_same_origin_is_believed(site: str, expected: int) -> None:
    assert expected == status(method="POST", origin="https://plant.example", fetched_from=site)
    assert status(method="POST", host="evil.example", origin="http://evil.example", fetched_from=site) == 400


def test_what_a_trusted_proxy_was_called_by_is_checked_besides_the_host() -> None:
    known = Settings(allowed_hosts=("plant.example",))
    own = "http://plant.example:8443"
    assert status(method="POST", origin=own, forwarded="plant.example:8443", settings=known) == 200
    assert status(method="POST", origin="http://evil.example", forwarded="plant.example", settings=known) == 403
    assert status(forwarded="evil.example", settings=known) == 400
    assert status(host="evil.example", forwarded="127.0.0.1", settings=known) == 400  # a name that was re-bound


def test_behind_a_trusted_proxy_keys_are_needed_on_loopback_too() -> None:
    proxied = {"trusted_proxies": "127.0.0.1"}
    with pytest.raises(UsageError, match="--trusted-proxies"):
        check_exposure(Settings(**proxied))  # type: ignore[arg-type]
    check_exposure(Settings(**proxied, insecure=True))  # type: ignore[arg-type]
    check_exposure(Settings(**proxied, keys=Path("keys.txt")))  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.3.2.1"])
def test_loopback_needs_no_permission(host: str) -> None:
    check_exposure(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.org"])  # noqa: S104  # refused
def test_other_addresses_need_it(host: str) -> None:
    with pytest.raises(UsageError, match="--insecure"):
        check_exposure(Settings(host=host))
    check_exposure(Settings(host=host, insecure=True))
    check_exposure(Settings(host=host, keys=Path("keys.txt")))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a.b:1", "a.b"),
        ("A.b", "a.b"),
        ("[::1]:80", "::1"),
        ("[::1]", "::1"),
        ("", ""),
        (":80", ":80"),
        ("a.b.:1", "a.b"),
    ],
)
def test_host_name(header: str, expected: str) -> None:
    assert expected == host_name(header)


@pytest.mark.parametrize("second", ["evil.example", "localhost"])
def test_two_hosts_are_refused_whichever_is_first(instance: Instance, second: str) -> None:
    """RFC 9112, section 3.2: a proxy before this server may have gone by the other."""
    for hosts in (("localhost", second), (second, "localhost")):
        lines = ["GET /models HTTP/1.1", *(f"hOST: {host}" for host in hosts), "Connection: close", "", ""]
        with connected(instance) as connection:
            connection.sendall("\r\n".join(lines).encode())
            answer = rest(connection)
        assert status_and_code(answer) == (400, "malformed_request")
        assert b"The request has 2 headers Host; send one." in answer
