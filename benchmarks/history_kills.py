"""A history under load whose server is killed: is every row that was acknowledged there, and whole?

    python -m benchmarks.history_kills [--models models] [--times 20]

Clients post images without a pause, and note the `history_id` and the score of every answer that they get. The server
is killed (-9) in the middle and started again on the same file, so many times. Then the file is read: each acknowledged
row must be there with the score and the hash of what was sent under its number, and SQLite must find the file sound.
"""

import argparse
import http.client
import json
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.drawings import draw_line, write_files
from benchmarks.serving import Program, start

MODEL = "mnist"
NUM_CLIENTS = 8
LOAD_S = 2.0


@dataclass(frozen=True)
class Found:
    """What is in the file in the end, beside what clients were told."""

    num_acknowledged: int
    num_rows: int
    num_lost: int
    num_different: int
    problems: list[str]

    @property
    def holds(self) -> bool:
        """Nothing is lost, different or broken."""
        return not (self.num_lost or self.num_different or self.problems) and self.num_acknowledged > 0


def main() -> int:
    """Kill, look, and say whether it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        write_files(folder, 200, draw_line, 28)
        found = kill_and_look(options.models, MODEL, folder, times=options.times, load_s=LOAD_S)
    print(
        f"{'holds ' if found.holds else 'FAILED'}  killed {options.times} times under load: {found.num_acknowledged} "
        f"rows acknowledged, {found.num_rows} in the file, {found.num_lost} lost, {found.num_different} different; "
        f"{'; '.join(found.problems) or 'the file is sound'}"
    )
    return 0 if found.holds else 1


def kill_and_look(models: Path, model: str, images: Path, *, times: int, load_s: float) -> Found:
    """Kill the server so many times, each `load_s` seconds after it was ready."""
    files = [path.read_bytes() for path in sorted(images.iterdir())]
    told: dict[int, tuple[float, str]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        history = Path(temporary) / "history.sqlite"
        for _ in range(times):
            server = start(models, default_model=model, history=history)
            _load_and_kill(server, files, load_s, told)
        return _look(history, told)


def _load_and_kill(server: Program, files: list[bytes], load_s: float, told: dict[int, tuple[float, str]]) -> None:
    clients = [
        threading.Thread(target=_post, args=(server.port, files[i:] + files[:i], told)) for i in range(NUM_CLIENTS)
    ]
    for client in clients:
        client.start()
    time.sleep(load_s)
    server.process.kill()
    server.process.communicate()
    for client in clients:
        client.join()


def _post(port: int, files: list[bytes], told: dict[int, tuple[float, str]]) -> None:
    """Post until the server is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    hashes = [sha256(data).hexdigest() for data in files]
    try:
        while True:
            for data, image_hash in zip(files, hashes, strict=True):
                connection.request("POST", "/score", data, {"Content-Type": "image/png"})
                answer = json.loads(connection.getresponse().read())
                if answer.get("history_id") is not None:
                    told[answer["history_id"]] = answer["score"], image_hash
    except (OSError, http.client.HTTPException, json.JSONDecodeError):
        connection.close()


def _look(history: Path, told: dict[int, tuple[float, str]]) -> Found:
    with closing(sqlite3.connect(history)) as connection:
        rows = {
            number: (score, image_hash)
            for number, score, image_hash in connection.execute("SELECT id, score, image_hash FROM images")
        }
        checks = [text for (text,) in connection.execute("PRAGMA integrity_check")]
    return Found(
        num_acknowledged=len(told),
        num_rows=len(rows),
        num_lost=sum(number not in rows for number in told),
        num_different=sum(number in rows and rows[number] != expected for number, expected in told.items()),
        problems=[text for text in checks if text != "ok"],
    )


if __name__ == "__main__":
    sys.exit(main())
