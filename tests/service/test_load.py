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

from tests.service.fakes import House, open_house, png
from tests.service.routes.test_score import code

NUM_CLIENTS = 16
NUM_IMAGES = 2000
BATCH = 25


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.005)


def depth(house: House) -> int:
    lines = house.client.get("/metrics").text.splitlines()
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


def run_client(port: int, tags: list[int]) -> list[tuple[int, float]]:
    """Post the first half one by one, the rest in batches: pairs of what was sent and what came back."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    pairs = []
    for tag in tags[: len(tags) // 2]:
        pairs.append((tag, post(connection, "/score", png(tag), "image/png")["score"]))
    rest = tags[len(tags) // 2 :]
    for i in range(0, len(rest), BATCH):
        chunk = rest[i : i + BATCH]
        results = post(connection, "/score/batch", form(chunk), "multipart/form-data; boundary=x")["results"]
        assert [result["filename"] for result in results] == [str(tag) for tag in chunk]
        pairs += [(tag, result["score"]) for tag, result in zip(chunk, results, strict=True)]
    connection.close()
    return pairs


def test_of_2000_images_from_16_clients_none_is_swapped(tmp_path: Path) -> None:
    with open_house(tmp_path) as house, ThreadPoolExecutor(NUM_CLIENTS) as clients:
        port = house.client.base_url.port
        assert port
        shares = [list(range(client, NUM_IMAGES, NUM_CLIENTS)) for client in range(NUM_CLIENTS)]
        pairs = [pair for share in clients.map(run_client, [port] * NUM_CLIENTS, shares) for pair in share]
        assert len(pairs) == NUM_IMAGES
        assert [(sent, got) for sent, got in pairs if sent != got] == []
        assert max(house.detector.batches) > 1
        assert depth(house) == 0


def test_overload_is_refused_with_retry_after_and_recovers(tmp_path: Path) -> None:
    with open_house(tmp_path, max_queue=3, max_files=3) as house, ThreadPoolExecutor(2) as clients:
        house.detector.gate.clear()
        accepted = [clients.submit(house.score, png(tag)) for tag in (1, 2)]
        eventually(lambda: depth(house) == 2)
        refused = house.batch(png(3), png(4))
        assert code(refused) == (503, "overloaded")
        assert int(refused.headers["Retry-After"]) > 0
        house.detector.gate.set()
        assert [answer.result().json()["score"] for answer in accepted] == [1.0, 2.0]
        eventually(lambda: depth(house) == 0)
        assert house.batch(png(3), png(4)).status_code == 200


def test_a_full_house_refuses_before_the_body_is_read(tmp_path: Path) -> None:
    with open_house(tmp_path, max_queue=1, max_files=1) as house, ThreadPoolExecutor(1) as clients:
        house.detector.gate.clear()
        accepted = clients.submit(house.score, png(1))
        eventually(lambda: depth(house) == 1)
        for path in ("/score", "/score/batch"):
            assert code(house.client.post(path, content=b"not even an image")) == (503, "overloaded")
        house.detector.gate.set()
        assert accepted.result().status_code == 200


def test_an_image_whose_client_left_is_not_run(tmp_path: Path) -> None:
    with open_house(tmp_path) as house, ThreadPoolExecutor(1) as clients:
        house.detector.gate.clear()
        stays = clients.submit(house.score, png(1))
        eventually(lambda: depth(house) == 1)
        head = "POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
        head += f"Content-Length: {len(png(2))}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", house.client.base_url.port or 0)) as leaves:
            leaves.sendall(head.encode() + png(2))
            eventually(lambda: depth(house) == 2)
        eventually(lambda: depth(house) == 1)
        house.detector.gate.set()
        assert stays.result().json()["score"] == 1.0
        assert house.score(png(3)).json()["score"] == 3.0
        assert house.detector.batches == [1, 1, 1]


@pytest.mark.parametrize("num_images", [1, 3])
def test_what_was_accepted_is_answered_when_the_server_stops(tmp_path: Path, num_images: int) -> None:
    with ThreadPoolExecutor(1) as clients:
        with open_house(tmp_path) as house:
            house.detector.gate.clear()
            files = [("files", (str(tag), png(tag))) for tag in range(num_images)]
            accepted = clients.submit(httpx.post, f"{house.client.base_url}/score/batch", files=files, trust_env=False)
            eventually(lambda: depth(house) == num_images)
            threading.Timer(0.3, house.detector.gate.set).start()
        results = accepted.result().json()["results"]
        assert [result["score"] for result in results] == list(range(num_images))
