"""Clients that vanish, and clients that never finish: what do they cost the others?

    python -m benchmarks.bad_clients [--models models]

1. 500 clients each post an image and hang up while a long pass holds the device: how many of their images that still
   waited were run all the same, and is the queue empty within a second?
2. 200 connections send half a head or half a body, a byte now and then: when are they cut off, and what becomes of the
   times of a good client beside them?
"""

import argparse
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.drawings import draw_line, write_files
from benchmarks.load import Running, send
from benchmarks.serving import Program, serving

NUM_VANISHING, NUM_SLOW = 500, 200
MODEL, SLOW_MODEL = "mnist", "mnist-anogan"
DRIP_S = 1.0
GOOD_S = 12


def main() -> int:
    """Do both and say whether what must hold held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"), help=f"with {MODEL} and {SLOW_MODEL}")
    models = parser.parse_args().models
    with tempfile.TemporaryDirectory() as temporary, serving(models, default_model=MODEL) as server:
        folder = Path(temporary) / "images"
        write_files(folder, 100, draw_line, 28)
        vanished, slow = vanish(server), drip(server, folder)
    return 0 if vanished and slow else 1


def vanish(server: Program) -> bool:
    """500 clients hang up while the device is busy with a search."""
    image = draw_line(0, 28)
    busy = _post(server.port, SLOW_MODEL, image)
    _wait_until(lambda: server.metric("anomaly_queue_images") == 1)
    time.sleep(0.3)  # the search has begun
    clients = [_post(server.port, MODEL, image) for _ in range(NUM_VANISHING)]
    _wait_until(lambda: server.metric("anomaly_queue_images") == 1 + NUM_VANISHING)
    before = server.metric("anomaly_batch_images_sum")
    for client in clients:
        client.close()
    gone = time.perf_counter()
    _wait_until(lambda: server.metric("anomaly_queue_images") <= 1)
    empty_s = time.perf_counter() - gone
    busy.recv(65536)
    busy.close()
    time.sleep(1.0)
    run = server.metric("anomaly_batch_images_sum") - before - 1
    holds = run <= 0.05 * NUM_VANISHING and empty_s <= 1.0
    print(
        f"{_word(holds)}  of {NUM_VANISHING} images of vanished clients {run:.0f} were run; "
        f"queue empty after {empty_s:.2f} s"
    )
    return holds


def drip(server: Program, folder: Path) -> bool:
    """200 connections that never finish, and a good client."""
    alone = send(server.port, folder, "--clients", 1, "--seconds", GOOD_S)
    head = b"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
    starts = [head, head + b"Content-Length: 100000\r\n\r\n"]
    lives_s: list[float] = []
    threads = [threading.Thread(target=_drip_one, args=(server.port, starts[i % 2], lives_s)) for i in range(NUM_SLOW)]
    for thread in threads:
        thread.start()
    running = Running(server.port, folder, "--clients", 1, "--seconds", GOOD_S)
    beside = running.result()
    for thread in threads:
        thread.join()
    times = [f"{load.percentile_ms(50):.1f} and {load.percentile_ms(99):.1f} ms" for load in (alone, beside)]
    holds = max(lives_s) < 15 and beside.percentile_ms(99) <= 2 * alone.percentile_ms(99)
    print(
        f"{_word(holds)}  {len(lives_s)} slow connections lived for {min(lives_s):.1f} to {max(lives_s):.1f} s; a good "
        f"client's p50 and p99: {times[0]} alone, {times[1]} beside them"
    )
    return holds


def _drip_one(port: int, start: bytes, lives_s: list[float]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        began = time.perf_counter()
        connection.sendall(start)
        connection.settimeout(DRIP_S)
        while True:
            try:
                if not connection.recv(4096):
                    break
            except TimeoutError:
                connection.sendall(b"x")
            except OSError:
                break
        lives_s.append(time.perf_counter() - began)


def _post(port: int, model: str, image: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = f"POST /score?model={model} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
    connection.sendall(f"{head}Content-Length: {len(image)}\r\n\r\n".encode() + image)
    return connection


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit("it never came to be")
        time.sleep(0.01)


def _word(holds: bool) -> str:
    return "holds " if holds else "FAILED"


if __name__ == "__main__":
    sys.exit(main())
