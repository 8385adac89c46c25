"""Two servers over one PostgreSQL behind a plain proxy: is each row there, in order, and the drift that of one server?

    python -m benchmarks.replicas [--models models] [--requests 10000] [--stop-s 30]

Needs Debian's postgresql and nginx-light. Clients post images through the proxy without a pause. Three rounds, each on
an empty database: so many requests; a server that is killed (-9) in the middle; a database that is stopped for so
long. After each, all rows are read, and drift is compared: with that of a `Drift` which is fed the rows' scores in the
order of their ids, and in the first round with that of a single server, on SQLite, which is sent the same images in
that order.
"""

import argparse
import http.client
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg

from anomaly.bundle import load
from anomaly.calibration import Drift, generator_of
from benchmarks.balancer import balancing
from benchmarks.drawings import draw_line, write_files
from benchmarks.postgres import PostgresServer, running_postgres
from benchmarks.replica_rounds import Answer, Round, in_order
from benchmarks.serving import Program, start

MODEL = "mnist"
NUM_CLIENTS = 8
ROWS = "SELECT id, request_id, score, p_value, image_hash, correction FROM images ORDER BY id"


HEAD = """
| round | requests | not answered | with an id | without | rows | slowest | |
|---|---|---|---|---|---|---|---|""".strip()


def main() -> int:
    """All three, as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--stop-s", type=float, default=30.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, running_postgres() as postgres:
        folder = Path(temporary) / "images"
        write_files(folder, 200, draw_line, 28)
        images = [path.read_bytes() for path in sorted(folder.iterdir())]
        pair = Pair(options.models, MODEL, images, postgres)
        print(HEAD, flush=True)
        plays: list[Callable[[], Round]] = [
            lambda: pair.count(options.requests),
            lambda: pair.kill(options.requests),
            lambda: pair.stop_database(options.stop_s),
        ]
        rounds = []
        for play in plays:
            rounds.append(play())
            print(rounds[-1].line(), flush=True)
    return 1 if any(found.problems for found in rounds) else 0


class Pair:
    """Two servers of a model over a database, and the rounds that are played with them."""

    def __init__(self, models: Path, model: str, images: Sequence[bytes], postgres: PostgresServer) -> None:
        self._models = models
        self._model = model
        self._images = images
        self._hashes = [sha256(data).hexdigest() for data in images]
        self._postgres = postgres
        self._bundle = load(models / model)

    def count(self, num: int) -> Round:
        """So many requests; a correction at one server, read at the other; a single server that gets the same."""
        with _Played(self, "all requests") as played:
            played.load(lambda: len(played.answers) < num)
            found = played.found()
            first, second = played.servers
            number = found.rows[0][0]
            _put(first.port, f"/history/{number}/correction", {"correction": "anomalous"})
            seen = json.loads(second.get("/history?correction=anomalous"))["items"]
            found.expect([row["id"] for row in seen] == [number], "a correction is not seen at the other server")
            shared = _drift_of(second, self._model)
        by_id = {answer.request_id: answer.image for answer in found.answers}
        found.expect(len(found.rows) == len(found.answers), "rows are missing, or too many")
        alone = self._alone([by_id[request_id] for _, request_id, *_ in found.rows])
        found.expect(alone == shared, "drift is not that of a single server")
        return found

    def kill(self, num: int) -> Round:
        """One server is killed after a third of so many requests, and started again after two thirds."""
        with _Played(self, "kill -9 of a server") as played:

            def kill() -> None:
                played.wait_for(num // 3)
                played.servers[0].process.kill()
                played.servers[0].process.communicate()
                played.wait_for(2 * num // 3)
                played.restart(0)

            other = threading.Thread(target=kill)
            other.start()
            played.load(lambda: other.is_alive() or len(played.answers) < num)
            other.join()
            return played.found()

    def stop_database(self, seconds: float) -> Round:
        """The database is stopped for so long, under load, and started again."""
        with _Played(self, f"PostgreSQL stopped for {seconds:g} s") as played:

            def stop() -> None:
                played.wait_for(100)
                self._postgres.stop()
                time.sleep(seconds)
                self._postgres.start()
                for _ in range(600):
                    time.sleep(0.1)
                    if all(each.metric("anomaly_history_failing") == 0 for each in played.servers):
                        break
                played.wait_for(len(played.answers) + 100)

            other = threading.Thread(target=stop)
            other.start()
            played.load(other.is_alive)
            other.join()
            found = played.found()
            unkept = sum(answer.number is None for answer in found.answers)
            counted = sum(server.metric("anomaly_history_failures_total") for server in played.servers)
            found.expect(unkept > 0, "no row was lost, so the database was not missed")
            found.expect(counted == unkept, f"{counted:g} rows counted as not kept, {unkept} answers without an id")
            found.expect(all(a.status == 200 for a in found.answers), "requests failed")
            found.expect(all(a.number for a in found.answers[-20:]), "rows are not kept again")
            return found

    def _alone(self, order: Sequence[int]) -> dict[str, Any]:
        """The drift of one server on SQLite that gets these images one after the other."""
        with tempfile.TemporaryDirectory() as temporary:
            server = start(self._models, default_model=self._model, history=Path(temporary) / "history.sqlite")
            try:
                with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
                    for image in order:
                        _post(connection, self._images[image], "alone")
                return _drift_of(server, self._model)
            finally:
                server.process.kill()
                server.process.communicate()


class _Played:
    """Two servers on an empty database while a round lasts, and their clients."""

    def __init__(self, pair: Pair, name: str) -> None:
        self._pair = pair
        self._name = name
        self._url = pair._postgres.new_database()
        self.answers: list[Answer] = []
        self.servers: list[Program] = []

    def __enter__(self) -> "_Played":
        with ThreadPoolExecutor(2) as threads:
            self.servers = [each.result() for each in [threads.submit(self._start) for _ in range(2)]]
        self._proxy = balancing([server.port for server in self.servers])
        self._port = self._proxy.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._proxy.__exit__(None, None, None)
        for server in self.servers:
            server.process.kill()
            server.process.communicate()

    def restart(self, which: int) -> None:
        """Start a server that was killed, on its port."""
        self.servers[which] = self._start(self.servers[which].port)

    def wait_for(self, num: int) -> None:
        """Until there are so many answers."""
        while len(self.answers) < num:
            time.sleep(0.01)

    def load(self, goes_on: Callable[[], bool]) -> None:
        """Post images, each with an id of its own, as long as it goes on."""
        clients = [threading.Thread(target=self._client, args=(i, goes_on)) for i in range(NUM_CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

    def found(self) -> Round:
        """What the database has, beside what clients were told, and the drift."""
        pair = self._pair
        with psycopg.connect(self._url) as connection:
            rows = connection.execute(ROWS).fetchall()
        answers = sorted(self.answers, key=lambda answer: answer.answered)
        found = Round(self._name, answers, rows)
        kept = {number: (request_id, score, image_hash) for number, request_id, score, _, image_hash, _ in rows}
        told = [answer for answer in answers if answer.number is not None]
        lost = [answer for answer in told if answer.number not in kept]
        found.expect(not lost, f"{len(lost)} acknowledged rows are lost")
        found.expect(len({answer.number for answer in told}) == len(told), "an id was given twice")
        expected = {a.number: (a.request_id, a.score, pair._hashes[a.image]) for a in told}
        found.expect(all(kept.get(number) == row for number, row in expected.items()), "rows are not what was answered")
        found.expect(in_order(told), "a row has a lower id than one that was answered before it was sent")
        replayed = _replay(pair._bundle, rows)
        drifts = [_drift_of(server, pair._model) for server in self.servers]
        found.expect(all(drift == replayed for drift in drifts), "drift is not that of the rows in their order")
        return found

    def _client(self, client: int, goes_on: Callable[[], bool]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        num = 0
        while goes_on():
            image, request_id = (num * NUM_CLIENTS + client) % len(self._pair._images), f"{client}-{num}"
            sent = time.monotonic()
            try:
                status, body = _post(connection, self._pair._images[image], request_id)
            except (OSError, http.client.HTTPException):
                connection.close()
                status, body = 0, {}
            answered = time.monotonic()
            number, score = body.get("history_id"), body.get("score")
            self.answers.append(Answer(request_id, image, sent, answered, status, number, score))
            num += 1
        connection.close()

    def _start(self, port: int = 0) -> Program:
        return start(self._pair._models, port=port, default_model=self._pair._model, history=self._url)


def _post(connection: http.client.HTTPConnection, data: bytes, request_id: str) -> tuple[int, dict[str, Any]]:
    head = {"Content-Type": "image/png", "X-Request-ID": request_id}
    connection.request("POST", "/score", data, head)
    answer = connection.getresponse()
    body = answer.read()
    return answer.status, json.loads(body) if answer.status == 200 else {}


def _put(port: int, path: str, body: dict[str, Any]) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("PUT", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200


def _drift_of(server: Program, model: str) -> dict[str, Any]:
    """As it tells it, without what depends on the time."""
    told = json.loads(server.get(f"/models/{model}/drift"))
    return {name: value for name, value in told.items() if name not in ("alarm_time", "alarm")}


def _replay(bundle: Any, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """What one server would tell that was fed these rows."""
    drift = Drift(bundle.contents.calibration.scores, rate=0.01, rng=generator_of(bundle.digest))
    for _, _, score, p_value, _, _ in rows:
        drift.add(score, p_value)
    return {
        "model": bundle.name, "version": bundle.version, "digest": bundle.digest, "rate": drift.rate,
        "num_scores": drift.num_scores, "log10_martingale": drift.log10_martingale,
        "max_log10_martingale": drift.max_log10, "alarm_at": drift.alarm_at,
        "trajectory": [list(point) for point in drift.trajectory.points],
        "window": {"num": len(drift.window), "counts": list(drift.window.counts)},
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
