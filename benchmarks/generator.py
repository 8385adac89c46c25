"""Posts images to a server from many connections at once.

    python -m benchmarks.generator PORT FOLDER --path /score?model=mnist --clients 32 --seconds 20 [--rate R]

A program of its own, so that it shares neither an event loop nor Python's lock with what it loads. The requests are put
together before the clock starts. Without `--rate` each client posts again as soon as it is answered (a closed loop);
with it, requests start at that rate whatever the answers are (an open loop), as long as a connection is free. The files
of FOLDER are posted in the order of their names, over and over, the paths in turn.

Prints one JSON object: `answers`, each `[number of the request, status, seconds, score or code]` in the order they came
(status 0: no connection; -1: it broke before
the answer), `seconds`, `cpu_s`, and `unsent`, the starts that found no free connection.
"""

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import cast

import uvloop

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
REFUSED, BROKEN = 0, -1
REFUSED_PAUSE_S = 0.02
FORM_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="image"\r\n\r\n'


class LoadGenerator:
    """What all connections share: what to send next, and what came back."""

    def __init__(self, port: int, requests: list[bytes], *, total: int | None, is_closed_loop: bool) -> None:
        self.port = port
        self.requests = requests
        self.is_closed_loop = is_closed_loop
        self.answers: list[tuple[int, int, float, float | str | None]] = []
        self.idle: list[Client] = []
        self.finished = asyncio.Event()
        self._numbers: Iterator[int] = iter(range(total)) if total else count()
        self._num_open = 0

    async def run(self, clients: int, seconds: float, rate: float | None) -> dict[str, object]:
        """Post for a while; wait for the last answers."""
        loop = asyncio.get_running_loop()
        started, cpu = time.perf_counter(), time.process_time()
        everyone = [Client(self) for _ in range(clients)]
        self.idle = list(everyone) if rate else []
        await asyncio.gather(*(client.open() for client in everyone))
        timer = loop.call_later(seconds, self.stop)
        unsent = await self._open_loop(rate, seconds) if rate else 0
        if not rate:
            for client in everyone:
                client.post()
        await self.finished.wait()
        timer.cancel()
        return {
            "answers": self.answers,
            "seconds": time.perf_counter() - started,
            "cpu_s": time.process_time() - cpu,
            "unsent": unsent,
        }

    async def _open_loop(self, rate: float, seconds: float) -> int:
        unsent = 0
        start = time.perf_counter()
        for i in range(int(rate * seconds)):
            if (ahead := start + i / rate - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            elif i % 16 == 0:
                await asyncio.sleep(0)
            if self.idle:
                self.idle.pop().post()
            else:
                unsent += 1
        return unsent

    def next_number(self) -> int | None:
        """The number of the next request; none if all are sent."""
        number = next(self._numbers, None)
        if number is not None:
            self._num_open += 1
        return number

    def note(self, client: "Client", number: int, status: int, seconds: float, body: bytes) -> None:
        """One request is over."""
        found: float | str | None = None
        with suppress(ValueError):
            content = json.loads(body)
            found = content["score"] if status == 200 else content["error"]["code"]
        self.answers.append((number, status, seconds, found))
        self._num_open -= 1
        if self.is_closed_loop:
            client.post()
        else:
            self.idle.append(client)
        self._finish_if_done()

    def stop(self) -> None:
        """Send nothing more."""
        self._numbers = iter(())
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if not self._num_open:
            self.finished.set()


class Client:
    """At most one request at a time, over one connection that is opened again when it is closed."""

    def __init__(self, generator: LoadGenerator) -> None:
        self.generator = generator
        self.connection: Connection | None = None
        self.number: int | None = None
        self.sent_at = 0.0

    async def open(self) -> None:
        """Connect, and send what is to be sent; a refusal ends the request."""
        loop = asyncio.get_running_loop()
        try:
            _, self.connection = await loop.create_connection(
                lambda: Connection(self), "127.0.0.1", self.generator.port
            )
        except OSError:
            await asyncio.sleep(REFUSED_PAUSE_S)
            self.finish(REFUSED, b"")
        else:
            self._send()

    def post(self) -> None:
        """Send the next request, if there is another."""
        self.number = self.generator.next_number()
        self.sent_at = time.perf_counter()
        if self.connection is None:
            if self.number is not None:
                self._opening = asyncio.ensure_future(self.open())
        else:
            self._send()

    def lose(self, connection: "Connection") -> None:
        """A connection is closed."""
        if connection is self.connection:
            self.connection = None
            self.finish(BROKEN, b"")

    def finish(self, status: int, body: bytes) -> None:
        """The request, if there is one, is over."""
        if self.number is not None:
            number, self.number = self.number, None
            self.generator.note(self, number, status, time.perf_counter() - self.sent_at, body)

    def _send(self) -> None:
        if self.connection is not None and self.number is not None:
            requests = self.generator.requests
            self.connection.transport.write(requests[self.number % len(requests)])


class Connection(asyncio.Protocol):
    """One connection, which cuts what comes into answers."""

    transport: asyncio.Transport

    def __init__(self, client: Client) -> None:
        self.client = client
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self.client.lose(self)

    def data_received(self, data: bytes) -> None:
        """Part of an answer, or all of it."""
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if separator and length and len(body) >= int(length[1]):
            self.received = b""
            if b"connection: close" in head.lower():
                self.client.connection = None
                self.transport.close()
            self.client.finish(int(head[9:12]), body)


def put_together(port: int, bodies: list[bytes], paths: list[str], *, is_form: bool) -> list[bytes]:
    """Whole requests, heads included: every body, with the paths in turn."""
    kind = "multipart/form-data; boundary=x" if is_form else "image/png"
    if is_form:
        bodies = [FORM_HEAD + body + b"\r\n--x--\r\n" for body in bodies]
    return [
        f"POST {paths[i % len(paths)]} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
        for i, body in enumerate(bodies)
    ]


def main() -> None:
    """Post, and print what came back."""
    options = _options()
    bodies = [path.read_bytes() for path in sorted(options.folder.iterdir())]
    requests = put_together(options.port, bodies, options.path or ["/score"], is_form=options.form)

    async def run() -> dict[str, object]:
        generator = LoadGenerator(options.port, requests, total=options.total, is_closed_loop=not options.rate)
        return await generator.run(options.clients, options.seconds, options.rate)

    json.dump(uvloop.run(run()), sys.stdout)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--path", action="append", help="where to post; several are taken in turn. Default: /score")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, help="requests a second, whatever the answers are")
    parser.add_argument("--total", type=int, help="requests in all")
    parser.add_argument("--form", action="store_true", help="as a form's field instead of the raw body")
    return parser.parse_args()


if __name__ == "__main__":
    main()
