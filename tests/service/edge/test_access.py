import asyncio
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from anomaly.errors import UsageError
from service.edge.access import GuardAccess, check_exposure, host_name
from service.settings import Settings

LOCAL = Settings()


def status(
    *, method: str = "GET", host: str | None = "127.0.0.1:8000", origin: str | None = None, settings: Settings = LOCAL
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

    headers = [(k, v.encode()) for k, v in ((b"host", host), (b"origin", origin)) if v is not None]
    scope = {"type": "http", "method": method, "headers": headers}
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
