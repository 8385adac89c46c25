"""Thousands of files dropped at once while the watcher is killed (-9) again and again: is each reported, none lost?

    python -m benchmarks.watch_kills [--model models/mnist] [--files 10000] [--times 10] [--to file,webhook,mqtt]

The watcher is started, killed in the middle and started again, so many times, spread over the work. Then it is left to
end it. Each file must have a report, reports of one file must have one id and those of two files two, and each picture
must lie in one of the three folders as it was. MQTT needs `mosquitto` (Debian's package of that name).
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil

from benchmarks.brokers import broker, subscribed
from benchmarks.drawings import draw_line, write_files

SIDE = 28
POLL_S = 0.1
MOST_S = 1800.0

Received = Callable[[], list[dict[str, object]]]


@dataclass(frozen=True)
class Outcome:
    """What was reported in the end, where the pictures are, and the most memory that a watcher had."""

    target: str
    num_files: int
    num_kills: int
    num_reports: int
    num_duplicates: int
    num_lost: int
    num_confused: int
    num_displaced: int
    memory_mib: float
    seconds: float

    @property
    def holds(self) -> bool:
        """Nothing is lost, and duplicates are told by their ids."""
        return not (self.num_lost or self.num_confused or self.num_displaced)

    def line(self) -> str:
        """A row of the table."""
        return (
            f"| {self.target} | {self.num_files:,} | {self.num_kills} | {self.num_reports:,} | {self.num_duplicates:,} "
            f"| {self.num_lost} | {self.num_confused} | {self.num_displaced} | {self.memory_mib:.0f} "
            f"| {self.seconds:.0f} | {'holds' if self.holds else 'FAILED'} |"
        )


HEADER = """\
| target | files | kill -9 | reports | duplicates | lost | confused ids | displaced pictures | MiB | s | |
|---|---|---|---|---|---|---|---|---|---|---|"""


def main() -> int:
    """Kill, look, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/mnist"))
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--to", default="file,webhook,mqtt")
    options = parser.parse_args()
    print(HEADER)
    outcomes = []
    for target in options.to.split(","):
        outcomes.append(kill_and_look(options.model, target, num_files=options.files, times=options.times))
        print(outcomes[-1].line(), flush=True)
    return 0 if all(outcome.holds for outcome in outcomes) else 1


def kill_and_look(model: Path, target: str, *, num_files: int, times: int) -> Outcome:
    """Drop the files, and kill the watcher so many times; `target` is file, webhook or mqtt."""
    with tempfile.TemporaryDirectory() as temporary, receiving(target, Path(temporary)) as (to, received):
        folder, sorted_into = Path(temporary) / "dropped", Path(temporary) / "sorted"
        write_files(Path(temporary) / "made", num_files, draw_line, SIDE)
        (Path(temporary) / "made").rename(folder)
        hashes = {path.name: _hash(path) for path in folder.iterdir()}
        command = [str(Path(sys.executable).with_name("anomaly")), "watch", str(model), str(folder), "--to", to]
        command += ["--move-to", str(sorted_into), "--settle", "0.2", "--device", "cpu"]
        started, memory = time.monotonic(), 0.0
        for turn in range(times + 1):
            watcher = subprocess.Popen(command, stdout=subprocess.PIPE)
            wanted = num_files * (turn + 1) // (times + 1)
            memory = max(memory, _wait(watcher, lambda: len({row["path"] for row in received()}), wanted))
            if turn < times:
                time.sleep(random.uniform(0, 0.3))  # noqa: S311  # no secret
                watcher.kill()
            else:
                assert watcher.stdout is not None
                watcher.stdout.readline()  # it says that it watches: before, the signal would end it as any program
                watcher.send_signal(signal.SIGTERM)
            watcher.communicate()
            code = watcher.returncode
            assert code == (-signal.SIGKILL if turn < times else 0), f"the watcher ended with {code}"
        seconds = time.monotonic() - started
        rows = received()
        moved = {path.name: _hash(path) for path in sorted_into.rglob("*") if path.is_file()}
        left = [path for path in folder.iterdir() if not path.name.startswith(".")]
    by_name: dict[str, set[object]] = {name: set() for name in hashes}
    for row in rows:
        by_name[Path(str(row["path"])).name].add(row["id"])
    num_ids = len({row["id"] for row in rows})
    return Outcome(
        target=target,
        num_files=num_files,
        num_kills=times,
        num_reports=len(rows),
        num_duplicates=len(rows) - num_ids,
        num_lost=sum(not ids for ids in by_name.values()),
        num_confused=abs(num_ids - num_files) + sum(len(ids) > 1 for ids in by_name.values()),
        num_displaced=len(left) + sum(moved.get(name) != found for name, found in hashes.items()),
        memory_mib=memory,
        seconds=seconds,
    )


@contextmanager
def receiving(target: str, folder: Path) -> Iterator[tuple[str, Received]]:
    """The address of a target, and what came there so far."""
    match target:
        case "file":
            file = folder / "reports.jsonl"
            yield str(file), lambda: _whole_rows(file)
        case "webhook":
            with _endpoint() as (address, rows):
                yield address, lambda: list(rows)
        case _:
            with broker(folder) as port, subscribed(port, "line/1") as rows:
                yield f"mqtt://127.0.0.1:{port}/line/1", lambda: list(rows)


@contextmanager
def _endpoint() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """An endpoint that takes what is posted."""
    rows: list[dict[str, object]] = []

    class Taking(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            body = self.rfile.read(size)
            if len(body) < size:
                return  # its sender was killed
            rows.append(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the library's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Connections end when their client is killed."""

    server = Server(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/reports", rows
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _wait(watcher: "subprocess.Popen[bytes]", count: Callable[[], int], wanted: int) -> float:
    """Until so many files are reported; the most memory in MiB meanwhile."""
    system, most, until = psutil.Process(watcher.pid), 0.0, time.monotonic() + MOST_S
    while count() < wanted:
        assert watcher.poll() is None, "the watcher has ended by itself"
        assert time.monotonic() < until, "the watcher does not go on"
        with suppress(psutil.Error):
            most = max(most, system.memory_info().rss / 2**20)
        time.sleep(POLL_S)
    return most


def _whole_rows(file: Path) -> list[dict[str, object]]:
    text = file.read_bytes() if file.exists() else b""
    return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
