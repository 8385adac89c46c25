"""Peers that are slow, silent, numerous or endless, over real connections."""

import json
import logging
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from service.edge import protocol
from service.edge.peer_limits import MAX_HEAD_BYTES, MAX_PIPELINED
from service.edge.server import KEEP_ALIVE_S, Server
from service.settings import Settings
from tests.service.fakes import Instance, open_instance, picture, png
from tests.service.test_load import depth, eventually

TIMEOUT_S = 0.6
HEAD = b"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A server that gives a peer 0.6 s for a request."""
    with open_instance(tmp_path_factory.mktemp("models"), receive_timeout_s=TIMEOUT_S, max_connections=30) as instance:
        yield instance


@contextmanager
def connected(instance: Instance) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", instance.client.base_url.port or 0), timeout=10) as connection:
        yield connection


def request(tag: int, *, extra: bytes = b"") -> bytes:
    return HEAD + b"Content-Length: %d\r\n%b\r\n" % (len(png(tag)), extra) + png(tag)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the peer closes."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def status_and_code(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)["error"]["code"]


@pytest.mark.parametrize(
    ("said", "lacks"),
    [
        (b"POST /sc", "The request's head did not come within 0.6 s."),
        (HEAD, "The request's head did not come within 0.6 s."),
        (HEAD + b"Content-Length: 100\r\n\r\n", "In the last 0.6 s came 0 bytes of the request's body"),
        (HEAD + b"Content-Length: 100\r\n\r\nabc", "In the last 0.6 s came 3 bytes of the request's body"),
        (b"\r\n", "The request's head did not come within 0.6 s."),
    ],
    ids=["half a line", "half a head", "no body", "half a body", "line end"],
)
@pytest.mark.parametrize("before", [b"", request(1)], ids=["first", "second"])
def test_a_peer_that_falls_silent_is_cut_off_with_a_reason(
    impatient: Instance, said: bytes, lacks: str, before: bytes
) -> None:
    with connected(impatient) as connection:
        if before:
            connection.sendall(before)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(said)
        answer = rest(connection)
        assert status_and_code(answer) == (408, "receive_timeout")
        assert lacks in answer.decode()
    eventually(lambda: depth(impatient) == 0)


def test_half_a_head_in_one_piece_with_the_request_before_it_is_cut_off_with_a_reason(impatient: Instance) -> None:
    with connected(impatient) as connection:
        connection.sendall(request(1) + b"POST /sc")
        answers = rest(connection).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"408"]


def test_so_is_a_body_of_which_as_much_has_come_as_of_the_head(impatient: Instance) -> None:
    """In its first time enough came, in the next nothing."""
    head = HEAD + b"Content-Length: 1000000\r\nX: %b\r\n\r\n" % (b"x" * 30_000)
    with connected(impatient) as connection:
        connection.sendall(head + b"x" * len(head))
        assert status_and_code(rest(connection)) == (408, "receive_timeout")


def test_a_peer_that_sends_nothing_is_cut_off_without_a_word(impatient: Instance) -> None:
    with connected(impatient) as connection:
        assert rest(connection) == b""


@pytest.mark.parametrize("head", [b"", HEAD + b"Content-Length: 1000\r\n\r\n"], ids=["head", "body"])
def test_a_peer_that_drips_is_cut_off_all_the_same(impatient: Instance, head: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(head)
        started = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT011, PT012  # reset or broken, as the system likes
            for byte in (HEAD * 50)[:2000]:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
        assert time.monotonic() - started < 15


def test_a_second_request_has_its_own_time(impatient: Instance) -> None:
    with connected(impatient) as connection:
        for tag in (1, 2, 3):
            connection.sendall(request(tag))
            assert b'"score":%d.0' % tag in connection.recv(65536)
            time.sleep(0.5 * TIMEOUT_S)
        connection.sendall(HEAD)
        assert status_and_code(rest(connection)) == (408, "receive_timeout")


def test_an_answer_that_takes_longer_than_a_request_may_is_waited_for(impatient: Instance) -> None:
    impatient.detector.gate.clear()
    with connected(impatient) as connection:
        connection.sendall(request(1) + b"\r\n")  # some clients end a body with a line end of their own
        time.sleep(2 * TIMEOUT_S)
        impatient.detector.gate.set()
        assert b'"score":1.0' in connection.recv(65536)


def test_requests_that_come_together_are_answered_in_turn(impatient: Instance) -> None:
    with connected(impatient) as connection:
        connection.sendall(request(1) + request(2) + request(3, extra=b"Connection: close\r\n"))
        answers = rest(connection)
    assert [answers.index(b'"score":%d.0' % tag) for tag in (1, 2, 3)] == sorted(
        answers.index(b'"score":%d.0' % tag) for tag in (1, 2, 3)
    )


def test_half_a_request_takes_no_answer_from_one_before_it_and_has_its_time_after_that(impatient: Instance) -> None:
    impatient.detector.gate.clear()
    with connected(impatient) as connection:
        connection.sendall(request(1) + HEAD + b"Content-Length: 100\r\n\r\nabc")
        time.sleep(2 * TIMEOUT_S)
        impatient.detector.gate.set()
        answers = rest(connection)
    assert [answer[:3] for answer in answers.split(b"HTTP/1.1 ")] == [b"", b"200", b"408"]
    assert b'"score":1.0' in answers


def test_a_body_that_follows_once_the_request_before_is_answered_is_in_time(impatient: Instance) -> None:
    impatient.detector.gate.clear()
    body = png(2)
    with connected(impatient) as connection:
        connection.sendall(request(1) + HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:9])
        time.sleep(2 * TIMEOUT_S)
        impatient.detector.gate.set()
        assert b'"score":1.0' in connection.recv(65536)
        connection.sendall(body[9:])
        assert b'"score":2.0' in connection.recv(65536)


def test_what_is_no_body_takes_no_answer_from_the_requests_before_it(impatient: Instance) -> None:
    impatient.detector.gate.clear()
    with connected(impatient) as connection:
        connection.sendall(request(1) + request(2) + HEAD + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n")
        time.sleep(0.1)
        impatient.detector.gate.set()
        answers = rest(connection)
    assert [answer[:3] for answer in answers.split(b"HTTP/1.1 ")] == [b"", b"200", b"200"]
    assert answers.count(b"connection: close") == 1


def test_requests_of_a_peer_that_has_gone_are_no_errors_of_the_server(
    impatient: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    impatient.detector.gate.clear()
    with connected(impatient) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it resets
        connection.sendall(request(1) + request(2) + request(3))
        eventually(lambda: depth(impatient) == 1)
    impatient.detector.gate.set()
    assert impatient.score(png(5)).json()["score"] == 5.0
    eventually(lambda: depth(impatient) == 0)
    assert "Traceback" not in caplog.text
    metrics = impatient.client.get("/metrics").text
    assert 'anomaly_requests_total{code="500",route="/score"} 0.0' in metrics


def test_slow_peers_hold_up_no_good_one(impatient: Instance) -> None:
    with connected(impatient) as first, connected(impatient) as second:
        for connection in (first, second):
            connection.sendall(HEAD)
        assert impatient.score(png(5)).json()["score"] == 5.0


def large(instance: Instance) -> tuple[str, int, int]:
    """A path, the size of its answer, and how many of it are 32 MiB: more than the system buffers for a connection."""
    (asset,) = re.findall(r'src="([^"]+bundle[^"]+)"', instance.client.get("/docs").text)
    size = len(instance.client.get(asset).content)
    return asset, size, 2**25 // size


def test_a_peer_that_takes_its_answers_slowly_but_steadily_gets_them_all(impatient: Instance) -> None:
    asset, size, num_asked = large(impatient)
    with socket.socket() as connection:
        connection.settimeout(10)
        connection.connect(("127.0.0.1", impatient.client.base_url.port or 0))
        ask = f"GET /{asset} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        connection.sendall(f"{ask}\r\n".encode() * (num_asked - 1) + f"{ask}Connection: close\r\n\r\n".encode())
        num_received = 0
        for _ in range(30):
            time.sleep(TIMEOUT_S / 6)
            num_received += len(connection.recv(2**15))
        while piece := connection.recv(2**20):
            num_received += len(piece)
    assert num_received > size * num_asked


def test_a_peer_that_does_not_take_its_answers_is_cut_off(
    impatient: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    asset, size, num_asked = large(impatient)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", impatient.client.base_url.port or 0))
        connection.sendall(f"GET /{asset} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() * num_asked)
        time.sleep(3 * TIMEOUT_S)
        num_received = 0
        with suppress(ConnectionResetError):
            while piece := connection.recv(2**20):
                num_received += len(piece)
    assert num_received < size * num_asked
    assert "an answer was cut off: in the last 0.6 s its peer took" in caplog.text
    assert "Traceback" not in caplog.text
    assert impatient.score(png(5)).json()["score"] == 5.0


def test_a_download_that_nobody_takes_ends_with_one_line_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.routes.history._lines", lambda rows: "x" * 2**25)
    kept = open_instance(tmp_path / "models", history=tmp_path / "history.sqlite", receive_timeout_s=TIMEOUT_S)
    with kept as instance, connected(instance) as connection:
        connection.sendall(b"GET /history.csv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        eventually(lambda: "an answer was cut off" in caplog.text)
        received = b""
        with suppress(ConnectionResetError):
            received = rest(connection)
    assert not received.endswith(b"\r\n0\r\n\r\n")
    assert "Traceback" not in caplog.text


def test_an_endless_head_is_refused(impatient: Instance) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        connection.sendall(b"x" * (MAX_HEAD_BYTES + 1))
        assert status_and_code(rest(connection)) == (431, "head_too_large")
    assert impatient.client.get("/healthz", headers={"X": "x" * 10_000}).status_code == 200


def test_an_endless_trailer_is_refused(impatient: Instance) -> None:
    with connected(impatient) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
        connection.sendall(b"X: " + b"x" * (MAX_HEAD_BYTES + 10))
        assert b" 431 " in rest(connection)


def test_what_stands_behind_a_body_is_no_header(impatient: Instance) -> None:
    body = b"%x\r\n%b\r\n0\r\n" % (len(png(1)), png(1))
    trailers = b"X-Part-ID: plate\r\nX-Request-ID: mine\r\nHost: example.org\r\n\r\n"
    with connected(impatient) as connection:
        connection.sendall(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body + trailers)
        head, _, answer = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"x-request-id: mine" not in head
    assert json.loads(answer)["part"] is None


@pytest.mark.parametrize("rest_of_body", [b"", b"no chunk\r\n", b"1;" + b"x" * (MAX_HEAD_BYTES + 1)])
def test_a_request_whose_body_goes_wrong_after_its_answer_gets_no_second_one(
    impatient: Instance, rest_of_body: bytes
) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"POST /no-such-path HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        head = connection.recv(10_000)
        connection.sendall(b"1\r\nx\r\n" + rest_of_body)
        answers = head + rest(connection)
    assert answers.startswith(b"HTTP/1.1 404")
    assert answers.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(("version", "first"), [("1.0", b"HTTP/1.1 200 "), ("1.1", b"HTTP/1.1 100 ")])
def test_only_a_client_that_knows_interim_answers_gets_one(impatient: Instance, version: str, first: bytes) -> None:
    head = HEAD.replace(b"1.1", version.encode()) + b"Expect: 100-continue\r\nConnection: close\r\n"
    with connected(impatient) as connection:
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(png(1)))
        time.sleep(0.1)
        connection.sendall(png(1))
        assert rest(connection).startswith(first)


def test_a_refused_peer_that_goes_on_sending_can_still_read_why(impatient: Instance) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * (MAX_HEAD_BYTES + 1))
        for _ in range(5):
            time.sleep(0.05)
            connection.sendall(b"x" * 1000)
        assert status_and_code(rest(connection)) == (431, "head_too_large")


def test_what_is_no_http_gets_an_answer_in_the_one_shape(impatient: Instance) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"this is no request\r\n\r\n")
        assert status_and_code(rest(connection)) == (400, "malformed_request")


@pytest.mark.parametrize(
    ("num", "behind"),
    [
        (1, b"\0\1 garbage\r\n\r\n"),
        (2, b"\0\1 garbage\r\n\r\n"),
        (2, b"GET /\0 HTTP/1.1\r\n"),
        (1, b"GET / HTTP/1.1\r\nX: " + b"x" * 10 * MAX_HEAD_BYTES),
    ],
)
def test_whole_requests_are_answered_in_turn_whatever_comes_behind_them(
    instance: Instance, num: int, behind: bytes
) -> None:
    instance.detector.gate.clear()
    with connected(instance) as connection:
        connection.sendall(b"".join(request(tag) for tag in range(num)) + behind)
        eventually(lambda: instance.detector.is_busy)
        instance.detector.gate.set()
        answers = rest(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200"] * num
    assert re.findall(rb'"score":([\d.]+)', answers) == [b"%.1f" % tag for tag in range(num)]
    assert re.findall(rb"(?i)connection: (\w+)", answers) == [b"close"]


def test_a_connection_whose_answer_came_before_its_body_does_not_stay_for_ever(tmp_path: Path) -> None:
    with open_instance(tmp_path, options={"timeout_keep_alive": 1}) as instance, connected(instance) as connection:
        connection.sendall(b"POST /no-such-path HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n")
        head = connection.recv(10_000)
        connection.sendall(b"x" * 10)
        answers = head + rest(connection)  # up to the end of the connection
        assert answers.startswith(b"HTTP/1.1 404")
        assert answers.count(b"HTTP/1.1") == 1


def test_between_requests_a_connection_is_kept_for_more_than_a_minute(impatient: Instance) -> None:
    settings = Settings()
    server = Server(impatient.app, settings, shedding=impatient.app.state.shedding, on_stop=lambda: None)
    assert server.config.timeout_keep_alive == KEEP_ALIVE_S > 60


def test_a_body_in_pieces_may_be_longer_than_a_head(tmp_path: Path) -> None:
    data = picture(300, 300) + bytes(2 * MAX_HEAD_BYTES)  # what follows a PNG's end does not matter
    with open_instance(tmp_path) as instance:
        pieces = (data[i : i + 50] for i in range(0, len(data), 50))
        answer = instance.client.post("/score", content=pieces, headers={"Content-Type": "image/png"})
        assert answer.status_code == 200


def test_too_many_connections_are_told_so_counted_and_logged(
    impatient: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    none_refused = 'anomaly_requests_total{code="503",route="none"} 0.0'
    assert none_refused in impatient.client.get("/metrics").text
    address = ("127.0.0.1", impatient.client.base_url.port or 0)
    with caplog.at_level(logging.INFO, "service.edge.request_log"):
        crowd = [socket.create_connection(address, timeout=10) for _ in range(32)]  # the client's is idle
        try:
            for late in crowd[31:]:
                assert status_and_code(rest(late)) == (503, "overloaded")
        finally:
            for each in crowd:
                each.close()
    eventually(lambda: impatient.score(png(2)).status_code == 200)
    assert none_refused not in impatient.client.get("/metrics").text
    assert [each for each in caplog.messages if each.startswith("connection none 503 overloaded")]


def test_one_connection_more_takes_the_place_of_that_which_is_idle_the_longest(tmp_path: Path) -> None:
    """Those that are in use stay: with a request or an answer that waits, or a head or a body on its way."""
    with open_instance(tmp_path, max_connections=6, receive_timeout_s=60.0) as instance, ExitStack() as crowd:
        asset, _, num_asked = large(instance)
        whole = request(1)
        waiting, untaken, half, first, second = (crowd.enter_context(connected(instance)) for _ in range(5))
        for each in (first, second, half):
            each.sendall(whole)
            assert b'"score":1.0' in each.recv(65536)
        half.sendall(whole[:-1])
        untaken.sendall(f"GET /{asset} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() * num_asked)
        instance.detector.gate.clear()
        waiting.sendall(request(2))
        eventually(lambda: depth(instance) == 2)  # one is half there; the client is the sixth
        further = crowd.enter_context(connected(instance))
        assert rest(first) == b""
        further.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert further.recv(65536).startswith(b"HTTP/1.1 200 ")
        last = crowd.enter_context(connected(instance))
        assert rest(second) == b""
        last.sendall(whole[:20])
        crowd.enter_context(connected(instance)).sendall(whole[:20])  # in the place of the client
        crowd.enter_context(connected(instance)).sendall(whole[:20])
        assert rest(further) == b""
        assert status_and_code(rest(crowd.enter_context(connected(instance)))) == (503, "overloaded")
        instance.detector.gate.set()
        half.sendall(whole[-1:])
        assert b'"score":1.0' in half.recv(65536)
        assert b'"score":2.0' in waiting.recv(65536)
        assert untaken.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_request_that_is_on_its_way_when_the_server_stops_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LINGER_S", 3.0)  # a busy machine does not end it too early
    stopped = threading.Event()
    with open_instance(tmp_path) as instance:
        port = instance.client.base_url.port or 0

        def come_late() -> bytes:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(request(1))
                assert b'"score":1.0' in connection.recv(65536)
                stopped.set()
                time.sleep(0.5)
                connection.sendall(request(2))
                return rest(connection)

        answers: list[bytes] = []
        late = threading.Thread(target=lambda: answers.append(come_late()))
        late.start()
        assert stopped.wait(10)
    late.join()
    assert status_and_code(answers[0]) == (503, "shutting_down")
    assert b"connection: close" in answers[0]
    assert b"retry-after" in answers[0].lower()


OFFER = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
"""As Java's client sends it with its first request."""


@pytest.mark.parametrize("step", [1, 50, 10_000])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_the_offer_of_another_protocol_is_passed_over_and_the_body_is_read(
    instance: Instance, step: int, is_chunked: bool
) -> None:
    image = png(7)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(image), image) if is_chunked else image
    length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(image)}"
    head = f"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n{OFFER}{length}\r\n\r\n"
    last = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    sent = (head.encode() + body) * 2 + last.encode()
    with connected(instance) as connection:
        for start in range(0, len(sent), step):
            connection.sendall(sent[start : start + step])
        answers = rest(connection)
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.count(b'"score":7.0') == 2


@pytest.mark.parametrize("before", [b"", request(1)], ids=["first", "second"])
def test_a_connect_is_refused_once(instance: Instance, before: bytes) -> None:
    with connected(instance) as connection:
        if before:
            connection.sendall(before)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"CONNECT example.org:443 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("path", ["/score", "/v2/models/m/infer"])
def test_a_request_that_still_arrives_when_the_grace_ends_is_told_to_come_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with ExitStack() as stack:
        with open_instance(tmp_path, grace_s=0.3) as instance:
            connection = stack.enter_context(connected(instance))
            connection.sendall(HEAD.replace(b"/score", path.encode()) + b"Content-Length: 100\r\n\r\nabc")
            eventually(lambda: depth(instance) == 1)
        answer = rest(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 10\r\n" in head.lower() + b"\r\n"
    message = "The server is shutting down, and has given this request up; try again shortly."
    is_protocol = path.startswith("/v2")
    assert json.loads(body) == {"error": message if is_protocol else {"code": "shutting_down", "message": message}}
    assert [record for record in caplog.records if record.exc_info] == []


def test_requests_that_wait_for_an_answer_before_theirs_are_bounded_and_none_is_half_answered(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance, connected(instance) as connection:
        instance.detector.gate.clear()
        many = b"".join(b"GET /models/%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % i for i in range(3 * MAX_PIPELINED))
        connection.sendall(request(7) + many)
        eventually(lambda: instance.detector.is_busy)
        instance.detector.gate.set()
        answers = rest(connection).split(b"HTTP/1.1 ")[1:]
    assert len(answers) == 1 + MAX_PIPELINED
    assert b'"score":7.0' in answers[0]
    for i, answer in enumerate(answers[1:]):
        assert answer.startswith(b"404 ")
        assert b"There is no model '%d' here" % i in answer
    assert [b"connection: close" in answer.lower() for answer in answers] == [False] * MAX_PIPELINED + [True]


def test_a_body_behind_too_many_requests_is_given_to_none(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance, connected(instance) as connection:
        instance.detector.gate.clear()
        connection.sendall(request(7) * (MAX_PIPELINED + 20))
        eventually(lambda: instance.detector.is_busy)
        instance.detector.gate.set()
        answers = rest(connection).split(b"HTTP/1.1 ")[1:]
    assert len(answers) == 1 + MAX_PIPELINED
    assert all(answer.startswith(b"200 ") and b'"score":7.0' in answer for answer in answers)
