"""Many clients at once, too many of them, some that leave, and a server that is told to stop: over real connections."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.fakes import Instance, add_bundle, open_instance, png
from tests.service.routes.test_score import code

NUM_CLIENTS = 16
NUM_IMAGES = 2000
BATCH = 25


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.005)


def depth(instance: Instance) -> int:
    lines = instance.client.get("/metrics").text.splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("anomaly_queue_images "))


def post(connection: http.client.HTTPConnection, path: str, body: bytes, content_type: str) -> Any:
    connection.request("POST", path, body, {"Content-Type": content_type})
    answer = connection.getresponse()
    content = json.loads(answer.read())
    assert answer.status == 200, content
    return content


def form(tags: list[int]) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="%d"\r\n\r\n'
    return b"".join(head % tag + png(tag) + b"\r\n" for tag in tags) + b"--x--\r\n"


def run_client(port: int, tags: list[int]) -> list[tuple[float, float]]:
    """Post the first half one by one, the rest in batches, to two models: pairs of what is due and what came back."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    pairs: list[tuple[float, float]] = []
    for tag in tags[: len(tags) // 2]:
        model = ("m", "other")[tag // NUM_CLIENTS % 2]
        answer = post(connection, f"/score?model={model}", png(tag), "image/png")
        assert (answer["model"], answer["digest"]) == (model, f"digest of {model}/1")
        pairs.append((tag + 0.5 * (model == "other"), answer["score"]))
    rest = tags[len(tags) // 2 :]
    for i in range(0, len(rest), BATCH):
        chunk = rest[i : i + BATCH]
        results = post(connection, "/score/batch?model=m", form(chunk), "multipart/form-data; boundary=x")["results"]
        assert [result["filename"] for result in results] == [str(tag) for tag in chunk]
        pairs += [(tag, result["score"]) for tag, result in zip(chunk, results, strict=True)]
    connection.close()
    return pairs


def test_of_2000_images_from_16_clients_for_two_models_none_is_swapped(tmp_path: Path) -> None:
    add_bundle(tmp_path, "other")
    with open_instance(tmp_path) as instance, ThreadPoolExecutor(NUM_CLIENTS) as clients:
        port = instance.client.base_url.port
        assert port
        shares = [list(range(client, NUM_IMAGES, NUM_CLIENTS)) for client in range(NUM_CLIENTS)]
        pairs = [pair for share in clients.map(run_client, [port] * NUM_CLIENTS, shares) for pair in share]
        assert len(pairs) == NUM_IMAGES
        assert [(sent, got) for sent, got in pairs if sent != got] == []
        assert max(instance.detector.batches) > 1
        assert depth(instance) == 0


def test_overload_is_refused_with_retry_after_and_recovers(tmp_path: Path) -> None:
    with open_instance(tmp_path, max_queue=3, max_files=3) as instance, ThreadPoolExecutor(2) as clients:
        instance.detector.gate.clear()
        accepted = [clients.submit(instance.score, png(tag)) for tag in (1, 2)]
        eventually(lambda: depth(instance) == 2)
        refused = instance.batch(png(3), png(4))
        assert code(refused) == (503, "overloaded")
        assert int(refused.headers["Retry-After"]) > 0
        instance.detector.gate.set()
        assert [answer.result().json()["score"] for answer in accepted] == [1.0, 2.0]
        eventually(lambda: depth(instance) == 0)
        assert instance.batch(png(3), png(4)).status_code == 200


def test_a_full_server_refuses_before_the_body_is_read(tmp_path: Path) -> None:
    with open_instance(tmp_path, max_queue=1, max_files=1) as instance, ThreadPoolExecutor(1) as clients:
        instance.detector.gate.clear()
        accepted = clients.submit(instance.score, png(1))
        eventually(lambda: depth(instance) == 1)
        for path in ("/score", "/score/batch"):
            assert code(instance.client.post(path, content=b"not even an image")) == (503, "overloaded")
        instance.detector.gate.set()
        assert accepted.result().status_code == 200


def test_an_image_whose_client_left_is_not_run(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance, ThreadPoolExecutor(1) as clients:
        instance.detector.gate.clear()
        stays = clients.submit(instance.score, png(1))
        eventually(lambda: instance.detector.is_busy)
        head = "POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
        head += f"Content-Length: {len(png(2))}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", instance.client.base_url.port or 0)) as leaves:
            leaves.sendall(head.encode() + png(2))
            eventually(lambda: depth(instance) == 2)
        eventually(lambda: depth(instance) == 1)
        instance.detector.gate.set()
        assert stays.result().json()["score"] == 1.0
        assert instance.score(png(3)).json()["score"] == 3.0
        assert instance.detector.batches == [1, 1]


@pytest.mark.parametrize("num_images", [1, 3])
def test_what_was_accepted_is_answered_when_the_server_stops(tmp_path: Path, num_images: int) -> None:
    with ThreadPoolExecutor(1) as clients:
        with open_instance(tmp_path) as instance:
            instance.detector.gate.clear()
            files = [("files", (str(tag), png(tag))) for tag in range(num_images)]
            accepted = clients.submit(
                httpx.post, f"{instance.client.base_url}/score/batch", files=files, trust_env=False
            )
            eventually(lambda: depth(instance) == num_images)
            threading.Timer(0.3, instance.detector.gate.set).start()
        results = accepted.result().json()["results"]
        assert [result["score"] for result in results] == list(range(num_images))


def test_a_request_whose_deadline_passes_is_told_so_and_never_runs(tmp_path: Path) -> None:
    with open_instance(tmp_path, deadline_s=0.5) as instance, ThreadPoolExecutor(3) as clients:
        instance.detector.gate.clear()
        runs = clients.submit(instance.score, png(1))
        eventually(lambda: instance.detector.is_busy)
        late = [clients.submit(instance.score, png(2)), clients.submit(instance.batch, png(3), png(4))]
        for answer in (runs, *late):
            assert code(answer.result()) == (503, "deadline_exceeded")
            assert int(answer.result().headers["Retry-After"]) > 0
        eventually(lambda: depth(instance) == 0)
        instance.detector.gate.set()
        assert instance.score(png(5)).json()["score"] == 5.0
        assert instance.detector.batches == [1, 1]


def test_more_than_can_be_served_is_refused_and_the_rest_is_served_in_time(tmp_path: Path) -> None:
    """Forty clients of a device that scores ten images a second, of which twenty may wait: some are refused."""
    with open_instance(tmp_path, deadline_s=4.0, max_batch=1) as instance, ThreadPoolExecutor(40) as clients:
        instance.detector.batch_s = 0.1
        assert instance.score(png(1)).status_code == 200
        until = time.monotonic() + 2.0

        def ask(client: int) -> list[httpx.Response]:
            answers = []
            while time.monotonic() < until:
                answers.append(instance.score(png(client)))
                time.sleep(0.05 if answers[-1].status_code == 503 else 0.0)
            return answers

        answers = [answer for share in clients.map(ask, range(40)) for answer in share]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    for answer in refused:
        assert code(answer) == (503, "overloaded")
        assert int(answer.headers["Retry-After"]) > 0
    assert sum(instance.detector.batches) == 1 + len(answers) - len(refused)


def test_work_of_clients_that_vanish_never_runs_and_leaves_the_queue_empty(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance, ThreadPoolExecutor(1) as clients:
        instance.detector.gate.clear()
        stays = clients.submit(instance.score, png(1))
        eventually(lambda: instance.detector.is_busy)
        head = "POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
        head += f"Content-Length: {len(png(2))}\r\n\r\n"
        crowd = [socket.create_connection(("127.0.0.1", instance.client.base_url.port or 0)) for _ in range(100)]
        for connection in crowd:
            connection.sendall(head.encode() + png(2))
        eventually(lambda: depth(instance) == 101)
        for connection in crowd:
            connection.close()
        eventually(lambda: depth(instance) == 1)
        instance.detector.gate.set()
        assert stays.result().json()["score"] == 1.0
        assert instance.score(png(3)).json()["score"] == 3.0
        assert instance.detector.batches == [1, 1]


def test_bodies_that_are_on_their_way_count_and_are_bounded(tmp_path: Path) -> None:
    with open_instance(tmp_path, max_upload_bytes=10_000, max_queue_bytes=15_000) as instance:
        head = "POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: 9000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", instance.client.base_url.port or 0)) as slow:
            slow.sendall(head.encode())
            eventually(lambda: depth(instance) == 1)
            assert code(instance.score(png(1) + bytes(7000))) == (503, "overloaded")
            assert instance.score(png(1)).status_code == 200
        eventually(lambda: depth(instance) == 0)
        assert instance.score(png(1) + bytes(7000)).status_code == 200


def test_a_device_out_of_memory_halves_its_batch_and_the_server_lives(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        instance.detector.num_fit = 3
        results = instance.batch(*[png(tag) for tag in range(10)]).json()["results"]
        assert [result["score"] for result in results] == list(range(10))
        instance.detector.num_fit = 0
        alone = instance.score(png(1))
        assert code(alone) == (503, "device_out_of_memory")
        assert int(alone.headers["Retry-After"]) > 0
        failures = instance.batch(png(1), png(2)).json()["results"]
        assert [failure["error"]["code"] for failure in failures] == ["device_out_of_memory"] * 2
        instance.detector.num_fit = 3
        assert instance.score(png(1)).json()["score"] == 1.0


def test_a_server_that_is_told_to_stop_is_not_ready_at_once_and_accepts_nothing(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance, ThreadPoolExecutor(1) as clients:
        instance.detector.gate.clear()
        accepted = clients.submit(instance.score, png(1))
        eventually(lambda: depth(instance) == 1)
        instance.app.state.stop()
        assert instance.client.get("/readyz").status_code == 503
        assert instance.client.get("/healthz").status_code == 200
        assert code(instance.score(png(2))) == (503, "shutting_down")
        instance.detector.gate.set()
        assert accepted.result().json()["score"] == 1.0
