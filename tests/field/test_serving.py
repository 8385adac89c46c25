"""A server among real peers and operators: slow lines, and a history that is moved while it is written."""

import socket
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from service.records.history import writer
from tests.field.rows import Row
from tests.service.fakes import Instance, open_instance, picture, png
from tests.service.records.history.entries import Clock, kept

TIMEOUT_S, RATE, LIMIT_S = 0.4, 10_000, 4.0
ROWS = (
    Row("Requests", "a body that comes slowly, but steadily", "scored, within the limits of the settings"),
    Row("Requests", "a body that comes too slowly, or never ends", "408: says how much came, or how long it took"),
)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A server that checks a peer's pace every 0.4 s."""
    limits: dict[str, Any] = {
        "receive_timeout_s": TIMEOUT_S,
        "receive_rate": RATE,
        "receive_limit_s": LIMIT_S,
        "deadline_s": 1.0,
    }
    with open_instance(tmp_path_factory.mktemp("models"), **limits) as instance:
        yield instance


def upload(instance: Instance, num_bytes: int, rate: float) -> tuple[int, bytes, float]:
    """Send an image of so many bytes at so many a second: status, answer and seconds."""
    body = picture(8, 8)
    body += bytes(num_bytes - len(body))  # what follows a PNG's end does not matter
    step = int(rate / 20)
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", instance.client.base_url.port or 0), timeout=20) as connection:
        connection.sendall(
            b"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        try:
            for i in range(0, len(body), step):
                connection.sendall(body[i : i + step])
                time.sleep(0.05)
        except OSError:
            pass  # cut off
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    return int(answer[9:12]), answer, time.monotonic() - start


def test_a_slow_but_steady_upload_is_scored_though_it_takes_longer_than_head_and_deadline(patient: Instance) -> None:
    status, answer, seconds = upload(patient, 100_000, 80_000)
    assert status == 200, answer
    assert seconds > max(TIMEOUT_S, 1.0)


def test_one_below_the_rate_is_cut_off_and_told_its_own(patient: Instance) -> None:
    status, answer, _ = upload(patient, 100_000, 2_000)
    assert status == 408
    assert b"less than 10000 a second" in answer


def test_one_that_never_ends_is_cut_off_in_the_end(patient: Instance) -> None:
    status, answer, _ = upload(patient, 1_000_000, 80_000)
    assert status == 408
    assert b"did not come within 4 s" in answer


def numbers(instance: Instance, *tags: int) -> list[int | None]:
    return [instance.score(png(tag)).json()["history_id"] for tag in tags]


def rows_of(path: Path) -> list[int]:
    return kept(path)[::-1]


def test_a_history_that_a_rotation_moves_loses_no_row_that_has_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    history, rotated = tmp_path / "h.sqlite", tmp_path / "h.2026-11.sqlite"
    with open_instance(tmp_path / "models", history=history) as instance:
        assert numbers(instance, 1, 2, 3) == [1, 2, 3]
        history.rename(rotated)
        assert numbers(instance, 4) == [None]
        ready = instance.client.get("/readyz")
        assert (ready.status_code, "renamed" in ready.json()["history"]) == (200, True)
        metrics = instance.client.get("/metrics").text
        assert "anomaly_history_failing 1.0" in metrics
        assert "anomaly_history_failures_total 1.0" in metrics
        clock.wait_to_retry()
        assert numbers(instance, 5, 6) == [1, 2]
        assert "history" not in instance.client.get("/readyz").json()
        assert "anomaly_history_failing 0.0" in instance.client.get("/metrics").text
    assert rows_of(rotated) == [1, 2, 3]
    assert rows_of(history) == [1, 2]


def test_a_history_that_was_replaced_is_not_read_beside_the_old_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PLACE_S", 60.0)
    history, other = tmp_path / "h.sqlite", tmp_path / "other.sqlite"
    with open_instance(tmp_path / "others", history=other) as instance:
        assert numbers(instance, 7, 8) == [1, 2]
    with open_instance(tmp_path / "models", history=history) as instance:
        assert numbers(instance, 1) == [1]
        assert len(instance.client.get("/history").json()["items"]) == 1
        history.rename(tmp_path / "moved.sqlite")
        other.rename(history)
        digest = sha256(history.read_bytes()).hexdigest()
        for path in ("/history", "/history.csv", "/history/1/thumbnail"):
            answer = instance.client.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "history_unavailable")
        assert sha256(history.read_bytes()).hexdigest() == digest
    assert rows_of(tmp_path / "moved.sqlite") == [1]
    assert rows_of(history) == [1, 2]
