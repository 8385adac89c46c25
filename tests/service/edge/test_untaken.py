"""Answers that wait for their peers: how many bytes they may be together, and what else such a peer may ask for."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from service.edge.untaken import UntakenAnswers
from tests.service.fakes import Instance, open_instance, picture, png
from tests.service.test_load import eventually

SIDE = 2600
ANSWER_BYTES = 4 * SIDE**2
"""Of its heatmap as binary data: more than the system buffers for a connection."""
TIMEOUT_S = 0.6
LIMITS: dict[str, Any] = {"max_queue_bytes": 3 * ANSWER_BYTES, "max_upload_bytes": 2**20, "max_connections": 40}


class WaitingTransport:
    """Has so many bytes that its peer has not taken."""

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes = num_bytes

    def get_write_buffer_size(self) -> int:
        return self.num_bytes


def wait(answers: UntakenAnswers, num_bytes: int, cut_off: Callable[[], None]) -> None:
    answers.add(cast("asyncio.Transport", WaitingTransport(num_bytes)), cut_off)


def test_of_too_many_bytes_those_that_wait_longest_go_but_none_within_its_share() -> None:
    answers, gone = UntakenAnswers(max_bytes=100, max_connections=10), list[str]()
    cut_off = {name: lambda name=name: gone.append(name) for name in ("small", "old", "young", "newer", "newest")}
    wait(answers, 10, cut_off["small"])
    wait(answers, 50, cut_off["old"])
    wait(answers, 40, cut_off["young"])
    assert gone == []
    wait(answers, 50, cut_off["old"])  # it is looked at once more, and is as old as before
    wait(answers, 11, cut_off["newer"])
    assert gone == ["old"]
    answers.remove(cut_off["newer"])  # it has been taken
    wait(answers, 200, cut_off["newest"])
    assert gone == ["old", "young"]  # the newest may be taken at once


@contextmanager
def asking(instance: Instance, *, times: int = 1, behind: bytes = b"") -> Iterator[socket.socket]:
    """A peer that asks for a large heatmap by a small request, and has taken the first bytes of the answer.

    `behind` comes in one piece with the last such request.
    """
    image = picture(SIDE, SIDE)
    length = len(image).to_bytes(4, "little")
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 4 + len(image)}}
    outputs = [{"name": "heatmap", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    body = head + length + image
    with socket.socket() as connection:
        connection.settimeout(20)
        connection.connect(("127.0.0.1", instance.client.base_url.port or 0))
        connection.sendall(
            b"POST /v2/models/m/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nInference-Header-Content-Length: %d\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(head), len(body), body) * times + behind
        )
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        yield connection


def num_taken(connection: socket.socket) -> int:
    """How many bytes come until there is a whole answer, or no more."""
    num = 0
    with suppress(ConnectionResetError):
        while num < ANSWER_BYTES and (piece := connection.recv(2**20)):
            num += len(piece)
    return num


def test_many_large_answers_that_nobody_takes_do_not_fill_the_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_instance(tmp_path / "models", **LIMITS) as instance, ExitStack() as stack:
        peers = [stack.enter_context(asking(instance)) for _ in range(6)]
        eventually(lambda: caplog.text.count("an answer was cut off: all that wait for their peers") >= 2)
        assert instance.score(png(5)).json()["score"] == 5.0
        assert num_taken(peers[0]) < ANSWER_BYTES
        assert num_taken(peers[-1]) >= ANSWER_BYTES


def test_no_further_request_of_a_peer_begins_while_its_answer_waits(tmp_path: Path) -> None:
    with open_instance(tmp_path / "models", **LIMITS) as instance, asking(instance, times=3) as peer:
        time.sleep(0.3)
        assert len(instance.detector.batches) == 1
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        received = b""
        while piece := peer.recv(2**20):
            received += piece
        assert received.count(b"HTTP/1.1 200 OK") == 3  # the first one's head is taken already
        assert received.endswith(b'{"status":"alive"}')
        assert len(instance.detector.batches) == 3


def test_half_a_request_that_waits_for_an_answer_to_be_taken_has_its_time_after_that(tmp_path: Path) -> None:
    """The server reads nothing meanwhile."""
    slow = open_instance(tmp_path / "models", receive_timeout_s=TIMEOUT_S, **LIMITS)
    with slow as instance, asking(instance, behind=b"GET /healthz HT") as peer:
        until = time.monotonic() + 3 * TIMEOUT_S
        received = b""
        while time.monotonic() < until:
            time.sleep(TIMEOUT_S / 6)
            received += peer.recv(2**15)
        peer.sendall(b"TP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        while piece := peer.recv(2**20):
            received += piece
    assert len(received) > ANSWER_BYTES
    assert received.count(b"HTTP/1.1 200 OK") == 1  # the first one's head is taken already
    assert received.endswith(b'{"status":"alive"}')
