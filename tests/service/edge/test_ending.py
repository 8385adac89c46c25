"""How connections end: who is still sending can read the last answer, and who does not take it is not waited for."""

import socket
import ssl
import struct
from contextlib import closing
from pathlib import Path

import pytest

from service.edge.protocol import BoundedProtocol
from tests.service.certificates import make_certificate
from tests.service.edge.test_protocol import HEAD, connected, request, rest, status_and_code
from tests.service.fakes import Instance, open_instance, png
from tests.service.records.test_telemetry import value
from tests.service.test_load import eventually

LARGE = bytes(40 * 2**20)
"""More than the systems of both ends hold for a connection."""
LAST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
REFUSED = "POST /no-such-path HTTP/{}\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n{}\r\n"


@pytest.mark.parametrize(("version", "extra"), [("1.1", "Connection: close\r\n"), ("1.0", "")])
def test_who_is_refused_before_the_body_has_come_can_send_it_and_then_read_why(
    instance: Instance, version: str, extra: str
) -> None:
    before = value(instance, 'anomaly_requests_total{code="404",route="none"}')
    with connected(instance) as connection:
        connection.sendall(REFUSED.format(version, len(LARGE), extra).encode() + LARGE)
        answer = rest(connection)
    assert status_and_code(answer) == (404, "not_found")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert value(instance, 'anomaly_requests_total{code="404",route="none"}') == before + 1


def test_it_is_the_same_over_tls(tmp_path: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        open_instance(tmp_path / "models", **make_certificate(tmp_path / "tls")) as secure,
        connected(secure) as plain,
        context.wrap_socket(plain) as connection,
    ):
        connection.sendall(REFUSED.format("1.1", len(LARGE), "Connection: close\r\n").encode() + LARGE)
        assert status_and_code(rest(connection)) == (404, "not_found")


def test_who_waits_for_the_end_before_the_body_sees_it(instance: Instance) -> None:
    with connected(instance) as connection:
        connection.sendall(REFUSED.format("1.1", 1000, "Connection: close\r\n").encode() + b"x")
        assert status_and_code(rest(connection)) == (404, "not_found")


@pytest.mark.parametrize("before", [b"", request(1)], ids=["first", "second"])
def test_who_waits_for_leave_to_send_and_is_refused_hears_that_the_connection_closes(
    instance: Instance, before: bytes
) -> None:
    """Else the next request would be taken for the body, if the client does not send that."""
    with connected(instance) as connection:
        connection.sendall(before + REFUSED.format("1.1", len(LAST), "Expect: 100-continue\r\n").encode())
        received = b""
        while b"not_found" not in received:
            received += connection.recv(65536)
        connection.sendall(LAST)
        answers = (received + rest(connection)).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200"] * bool(before) + [b"404"]
    assert [b"connection: close" in answer for answer in answers] == [False] * bool(before) + [True]


@pytest.mark.parametrize("body", [png(1), b""], ids=["body", "empty"])
def test_who_sends_the_body_without_leave_keeps_the_connection(instance: Instance, body: bytes) -> None:
    with connected(instance) as connection:
        expecting = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(expecting + body + request(2) + LAST)
        answers = rest(connection).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"").split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200" if body else b"422", b"200", b"200"]
    assert [b"connection: close" in answer for answer in answers] == [False, False, True]


@pytest.mark.parametrize("ends_itself", [False, True])
def test_a_connection_does_not_wait_for_ever_for_a_peer_that_does_not_take_the_end_of_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, ends_itself: bool
) -> None:
    """So little of them waits that the buffers never were too full."""
    made: list[BoundedProtocol] = []
    monkeypatch.setattr("service.edge.server.BoundedProtocol", _recorded(made))
    with (
        open_instance(tmp_path, receive_timeout_s=0.6) as instance,
        closing(socket.socket()) as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", instance.client.base_url.port or 0))
        connection.sendall(LAST.replace(b"close", b"keep-alive"))
        server_side = _server_side(connection, made)
        buffered = server_side.transport.get_extra_info("socket")
        buffered.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        while server_side.transport.get_write_buffer_size() < 2**14:  # the answers to 20 are less
            num_before = server_side.server_state.total_requests
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20)
            eventually(lambda: server_side.server_state.total_requests >= num_before + 20)  # noqa: B023  # called now
        if ends_itself:
            connection.shutdown(socket.SHUT_WR)
        else:
            connection.sendall(LAST)
        eventually(lambda: server_side not in server_side.connections)
    assert "an answer was cut off: in the last 0.6 s its peer took" in caplog.text
    assert "Traceback" not in caplog.text


def test_nothing_is_kept_of_a_connection_that_its_peer_has_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[BoundedProtocol] = []
    monkeypatch.setattr("service.edge.server.BoundedProtocol", _recorded(made))
    with open_instance(tmp_path) as instance:
        with connected(instance) as connection:
            connection.sendall(request(1))
            assert b'"score":1.0' in connection.recv(65536)
            server_side = _server_side(connection, made)
            eventually(lambda: server_side.timeout_keep_alive_task is not None)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        eventually(lambda: server_side not in server_side.connections)
        eventually(lambda: server_side.timeout_keep_alive_task is None)


def _recorded(made: list[BoundedProtocol]) -> type[BoundedProtocol]:
    class Recorded(BoundedProtocol):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]
            made.append(self)

    return Recorded


def _server_side(connection: socket.socket, made: list[BoundedProtocol]) -> BoundedProtocol:
    own = connection.getsockname()
    eventually(lambda: any(each.client == own for each in made))
    return next(each for each in made if each.client == own)
