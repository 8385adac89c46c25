"""HTTPS without a proxy: the same answers, and the same limits on peers as without it."""

import logging
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.edge.handshakes import NUM_TOLD
from service.edge.peer_limits import MAX_HEAD_BYTES
from service.edge.server import Server
from service.settings import Settings
from tests.service.certificates import make_certificate
from tests.service.edge.test_protocol import HEAD, request, rest, status_and_code
from tests.service.fakes import Instance, add_bundle, load_tagged, open_instance, png
from tests.service.records.test_telemetry import value
from tests.service.test_load import depth, eventually

MAX_CONNECTIONS = 8


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A server that speaks TLS, takes one image at a time, and few connections."""
    folder = tmp_path_factory.mktemp("secure")
    limits: dict[str, Any] = {"max_connections": MAX_CONNECTIONS, "max_queue": 1, "max_files": 1}
    with open_instance(folder / "models", **limits, **make_certificate(folder / "tls")) as instance:
        yield instance


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One that gives a peer a second."""
    folder = tmp_path_factory.mktemp("impatient")
    with open_instance(folder / "models", receive_timeout_s=1.0, **make_certificate(folder / "tls")) as instance:
        yield instance


@contextmanager
def connected(instance: Instance) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", instance.client.base_url.port or 0), timeout=10) as connection:
        yield connection


@contextmanager
def greeted(instance: Instance) -> Iterator[ssl.SSLSocket]:
    """A connection after its handshake; that the certificate signs itself does not matter here."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connected(instance) as plain, context.wrap_socket(plain) as connection:
        yield connection


def reached(instance: Instance) -> bool:
    with suppress(httpx.TransportError):
        return instance.client.get("/healthz").status_code == 200
    return False


def test_it_scores_and_says_that_its_scheme_is_https(secure: Instance) -> None:
    assert secure.client.base_url.scheme == "https"
    own = {"Origin": str(secure.client.base_url)}
    assert secure.client.post("/score", files={"file": ("a.png", png(7))}, headers=own).json()["score"] == 7.0
    for _ in range(3):  # the connection is kept
        assert secure.score(png(5)).json()["score"] == 5.0


def test_a_peer_that_does_not_speak_tls_is_cut_off_and_harms_nobody(secure: Instance) -> None:
    with connected(secure) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with suppress(ConnectionResetError):
            assert b"200 OK" not in rest(connection)
    assert secure.client.get("/healthz").status_code == 200


def test_a_handshake_that_fails_is_logged_with_its_client_and_one_that_never_began_is_not(
    secure: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "service.edge.handshakes"):
        with connected(secure):  # as a load balancer looks whether the port is open
            pass
        with connected(secure) as connection, suppress(ConnectionResetError):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            rest(connection)
        with pytest.raises(httpx.ConnectError):
            httpx.get(secure.client.base_url, trust_env=False)  # which does not know who signed the certificate
        eventually(lambda: len(caplog.records) == 2)
    assert caplog.messages == [
        "a TLS handshake failed: HTTP_REQUEST",
        "a TLS handshake failed: TLSV1_ALERT_UNKNOWN_CA",
    ]
    assert {record.__dict__["fields"]["client"] for record in caplog.records} == {"127.0.0.1"}


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02"], ids=["silent", "half a greeting"])
def test_a_handshake_that_never_ends_is_cut_off_as_a_head_would_be(impatient: Instance, said: bytes) -> None:
    with connected(impatient) as connection:  # within its ten seconds; asyncio itself would wait for sixty
        connection.sendall(said)
        assert rest(connection) == b""


@pytest.mark.parametrize("said", [b"POST /sc", HEAD + b"Content-Length: 100\r\n\r\nabc"], ids=["head", "body"])
def test_a_peer_that_falls_silent_is_told_so(impatient: Instance, said: bytes) -> None:
    with greeted(impatient) as connection:
        connection.sendall(said)
        assert status_and_code(rest(connection)) == (408, "receive_timeout")


def test_an_endless_head_is_refused(secure: Instance) -> None:
    with greeted(secure) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * (MAX_HEAD_BYTES + 1))
        assert status_and_code(rest(connection)) == (431, "head_too_large")


def test_too_many_connections_are_refused(secure: Instance) -> None:
    with ExitStack() as crowd:
        idle = crowd.enter_context(greeted(secure))
        idle.sendall(request(1))
        answer = b""
        while b'"score":1.0' not in answer:  # head and body are records of their own
            answer += idle.recv(65536)
        for _ in range(MAX_CONNECTIONS):
            crowd.enter_context(greeted(secure)).sendall(request(1)[:20])
        assert rest(idle) == b""  # the last of them has its place
        with greeted(secure) as connection:
            assert status_and_code(rest(connection)) == (503, "overloaded")
    eventually(lambda: secure.client.get("/healthz").status_code == 200)


def test_peers_that_never_shake_hands_are_bounded_too(tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "tls")
    with open_instance(tmp_path / "models", max_connections=2, receive_timeout_s=60.0, **made) as instance:
        with ExitStack() as crowd:
            for _ in range(2 + NUM_TOLD):
                crowd.enter_context(connected(instance))
            for _ in range(3):
                with connected(instance) as connection, suppress(ConnectionResetError):
                    assert rest(connection) == b""  # at once: those above have a minute
        eventually(lambda: reached(instance))
        assert value(instance, 'anomaly_requests_total{code="503",route="none"}') >= 3  # tries to reach it count too


def test_load_is_shed_by_the_head_and_the_connection_is_kept(secure: Instance) -> None:
    with ThreadPoolExecutor(1) as clients:
        secure.detector.gate.clear()
        accepted = clients.submit(secure.score, png(1))
        eventually(lambda: depth(secure) == 1)
        with greeted(secure) as connection:
            for _ in range(2):
                connection.sendall(request(2))
                assert connection.recv(65536).startswith(b"HTTP/1.1 503 ")
        secure.detector.gate.set()
        assert accepted.result().status_code == 200


def test_a_renewed_certificate_is_shown_and_a_bad_one_leaves_the_old(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = make_certificate(tmp_path)
    add_bundle(tmp_path / "models", "m")
    settings = Settings(models=tmp_path / "models", **made)
    app = create_app(settings, load=load_tagged)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        server = Server(app, settings, shedding=app.state.shedding, on_stop=app.state.stop)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            eventually(lambda: server.started and bool(server.servers))
            first = ssl.get_server_certificate(address)
            make_certificate(tmp_path)
            server.renew_certificate()
            eventually(lambda: ssl.get_server_certificate(address) != first)
            second = ssl.get_server_certificate(address)
            made["tls_key"].write_text("no key")
            with caplog.at_level(logging.ERROR):
                server.renew_certificate()
                eventually(lambda: "the certificate stays as it was: The certificate" in caplog.text)
            assert ssl.get_server_certificate(address) == second
            trusted = ssl.create_default_context(cadata=second)
            assert httpx.get(f"https://127.0.0.1:{address[1]}/healthz", verify=trusted, trust_env=False).is_success
        finally:
            app.state.stop()
            server.should_exit = True
            thread.join()
