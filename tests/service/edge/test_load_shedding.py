"""A full instance, over real connections: what load shedding says, and that the connection stays in order."""

import http.client
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.edge.headers import HEADERS
from service.edge.keys import add_key
from service.edge.peer_limits import MAX_HEAD_BYTES
from tests.service.edge.test_protocol import connected, rest, status_and_code
from tests.service.fakes import Instance, open_instance, png
from tests.service.records.test_telemetry import value
from tests.service.test_load import depth, eventually

RECEIVE_TIMEOUT_S = 0.4


@contextmanager
def full_instance(folder: Path) -> Iterator[Instance]:
    """A server that takes one image, and has one."""
    with (
        open_instance(folder, max_queue=1, max_files=1, receive_timeout_s=RECEIVE_TIMEOUT_S) as instance,
        ThreadPoolExecutor(1) as clients,
    ):
        instance.detector.gate.clear()
        accepted = clients.submit(instance.score, png(1))
        eventually(lambda: depth(instance) == 1)
        yield instance
        instance.detector.gate.set()
        assert accepted.result().status_code == 200


def head(length: int, *, path: str = "/score", extra: str = "") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n{extra}\r\n"
    ).encode()


def test_a_refusal_has_all_that_every_answer_has_and_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "service.edge.request_log"), full_instance(tmp_path) as instance:
        answer = instance.client.post("/score?alpha=7", content=b"no image", headers={"X-Request-ID": "line-3.42"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["X-Request-ID"] == "line-3.42"
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert instance.client.post("/score", content=b"").headers["X-Request-ID"]
        series = instance.client.get("/metrics").text
        assert re.search(r'anomaly_requests_total{code="503",route="/score"} 2.0', series)
        assert 'anomaly_request_seconds_count{route="/score"}' not in series
        assert [each for each in caplog.messages if each.startswith("POST /score 503 overloaded in 0.0 ms")]


@pytest.mark.parametrize(
    ("said", "status", "error_code"),
    [
        (b"\x16\x03\x01\x02\x00 a greeting of TLS", 400, "malformed_request"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * (MAX_HEAD_BYTES + 1), 431, "head_too_large"),
        (b"GET / HT", 408, "receive_timeout"),
    ],
)
def test_what_is_no_whole_head_of_a_request_is_counted_and_the_log_says_whose_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, said: bytes, status: int, error_code: str
) -> None:
    with caplog.at_level(logging.INFO), open_instance(tmp_path, receive_timeout_s=RECEIVE_TIMEOUT_S) as instance:
        with connected(instance) as connection:
            connection.sendall(said)
            answer = rest(connection)
        assert status_and_code(answer) == (status, error_code)
        assert re.search(rb"X-Request-ID: \w+", answer)
        assert value(instance, f'anomaly_requests_total{{code="{status}",route="none"}}') == 1
    (line,) = [record for record in caplog.records if f" {status} " in record.getMessage()]
    assert line.getMessage() == f"unread none {status} {error_code} in 0.0 ms"
    assert line.__dict__["fields"]["client"] == "127.0.0.1"


def test_the_time_of_requests_is_that_of_those_which_were_accepted_whoever_refuses_the_others(tmp_path: Path) -> None:
    with full_instance(tmp_path) as instance:
        expecting = {"Expect": "100-continue"}  # which the app itself refuses
        for headers in ({}, expecting, {}, expecting):
            with connected(instance) as connection:
                extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                connection.sendall(head(1, extra=f"{extra}Connection: close\r\n") + (b"" if headers else b"x"))
                assert status_and_code(rest(connection)) == (503, "overloaded")
        assert value(instance, 'anomaly_requests_total{code="503",route="/score"}') == 4
        assert value(instance, 'anomaly_request_seconds_count{route="/score"}') == 0
        instance.detector.gate.set()
        eventually(lambda: value(instance, 'anomaly_request_seconds_count{route="/score"}') == 1)


def test_the_connection_is_kept_and_the_body_discarded_then_the_next_request_is_answered(tmp_path: Path) -> None:
    with (
        full_instance(tmp_path) as instance,
        closing(http.client.HTTPConnection("127.0.0.1", instance.client.base_url.port or 0, timeout=5)) as connection,
    ):
        for _ in range(3):
            connection.request("POST", "/score", body=b"x" * 300_000, headers={"Content-Type": "image/png"})
            answer = connection.getresponse()
            assert (answer.status, answer.will_close) == (503, False)
            answer.read()
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200


def test_it_answers_before_the_body_comes(tmp_path: Path) -> None:
    with full_instance(tmp_path) as instance, connected(instance) as connection:
        connection.sendall(head(1000))
        assert connection.recv(1000).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        connection.sendall(b"x" * 1000 + head(0, extra="Connection: close\r\n"))
        assert status_and_code(rest(connection)) == (503, "overloaded")


def test_a_body_that_never_ends_is_cut_off_without_a_second_answer(tmp_path: Path) -> None:
    with full_instance(tmp_path) as instance, connected(instance) as connection:
        connection.sendall(head(1000) + b"x")
        assert rest(connection).count(b"HTTP/1.1 ") == 1


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    with full_instance(tmp_path) as instance, connected(instance) as connection:
        get = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        last = head(1, path="/score/batch", extra="Connection: close\r\n") + b"x"
        connection.sendall(head(2) + b"xx" + get + head(2) + b"xx" + get + last)
        answers = rest(connection)
        assert [int(code) for code in re.findall(rb"HTTP/1.1 (\d+)", answers)] == [503, 200, 503, 200, 503]


def test_who_waits_for_leave_to_send_is_refused_by_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with full_instance(tmp_path) as instance, connected(instance) as connection:
        asked: list[object] = []
        monkeypatch.setattr(instance.app.state.shedding, "refusal", lambda *head: asked.append(head))
        connection.sendall(head(1000, extra="Expect: 100-continue\r\nConnection: close\r\n"))
        assert status_and_code(rest(connection)) == (503, "overloaded")
        assert not asked


def test_a_connection_of_http_1_0_is_closed(tmp_path: Path) -> None:
    with full_instance(tmp_path) as instance, connected(instance) as connection:
        connection.sendall(head(1, extra="Connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0") + b"x")
        answer = rest(connection)
        assert status_and_code(answer) == (503, "overloaded")
        assert b"\r\nConnection: close\r\n" in answer


def test_after_the_last_answer_nothing_more_is_answered(tmp_path: Path) -> None:
    with full_instance(tmp_path) as instance, connected(instance) as connection:
        connection.sendall(head(1, extra="Connection: close\r\n") + b"x" + head(1) + b"x")
        assert rest(connection).count(b"HTTP/1.1 ") == 1
        assert re.search(r'anomaly_requests_total{code="503",route="/score"} 1.0', instance.client.get("/metrics").text)


def test_a_body_that_breaks_after_the_refusal_gets_no_second_answer(tmp_path: Path) -> None:
    with full_instance(tmp_path) as instance, connected(instance) as connection:
        connection.sendall(
            b"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nno chunk\r\n"
        )
        assert rest(connection).count(b"HTTP/1.1 ") == 1


def test_at_a_stop_it_is_said_that_the_server_stops(tmp_path: Path) -> None:
    with full_instance(tmp_path) as instance:
        instance.app.state.stop()
        answer = instance.client.post("/score", content=b"x")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")


@pytest.mark.parametrize("path", ["/healthz", "/score/", "/"])
def test_all_else_goes_on_to_the_app(path: str, tmp_path: Path) -> None:
    with full_instance(tmp_path) as instance:
        assert instance.client.post(path, content=b"x").status_code in (404, 405)
        assert instance.client.get("/healthz").status_code == 200


def test_once_an_image_may_come_again_it_is_scored(tmp_path: Path) -> None:
    with full_instance(tmp_path) as instance:
        assert instance.score(png(2)).status_code == 503
        instance.detector.gate.set()
        eventually(lambda: depth(instance) == 0)
        assert instance.score(png(2)).json()["score"] == 2.0


def test_who_has_no_key_is_told_that_and_each_request_counts_for_its_keys_rate(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    scorer, other = add_key(file, "line-3", ["score"]), add_key(file, "ops", ["admin"])
    limits: dict[str, Any] = {"max_queue": 1, "max_files": 1, "rate_limit": 0.001, "rate_burst": 3}

    def ask(key: str | None) -> tuple[int, str, dict[str, str]]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = instance.client.post("/score", content=png(1), headers=headers | {"Content-Type": "image/png"})
        found = {} if answer.status_code == 200 else answer.json()["error"]
        return answer.status_code, found.get("code", ""), dict(answer.headers)

    with open_instance(tmp_path / "models", keys=file, **limits) as instance, ThreadPoolExecutor(1) as clients:
        instance.detector.gate.clear()
        accepted = clients.submit(ask, scorer)
        eventually(lambda: is_full(instance))
        assert ask(None)[:2] == ask("wrong")[:2] == (401, "unauthenticated")
        assert ask(None)[2]["www-authenticate"] == "Bearer"
        assert ask(other)[:2] == (403, "forbidden")
        assert [ask(scorer)[:2] for _ in range(2)] == [(503, "overloaded")] * 2
        status, problem, headers = ask(scorer)
        assert (status, problem) == (429, "rate_limited")
        assert int(headers["retry-after"]) > 100
        instance.detector.gate.set()
        assert accepted.result()[0] == 200


def is_full(instance: Instance) -> bool:
    """Whether a request without a key would be refused by its head; that of a key would count for its rate."""
    return instance.app.state.shedding.refusal(b"POST", b"/score", [], None) is not None
