"""A function over items, in processes and on a Ray cluster: each item once, none harmed by another."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path

import psutil
import pytest

from anomaly.distributed.processes import Processes
from anomaly.distributed.tasks import Outcome, drive, run_tasks
from anomaly.distributed.workers import Answer, Worker, Workers
from anomaly.errors import ClusterError, UsageError
from benchmarks.ray_clusters import RayCluster
from tests.distributed.functions import (
    dying,
    failing,
    own_process,
    process_of,
    refusing,
    times,
    two,
    visible_gpus,
)

PROGRAM = """
import json, sys
from anomaly.distributed.tasks import run_tasks
from anomaly.distributed.workers import Workers
from anomaly.errors import AnomalyError
from tests.distributed import functions
name, initialise, num, address = sys.argv[1:]
try:
    for outcome in run_tasks(
        getattr(functions, name),
        range(int(num)),
        initialise=getattr(functions, initialise),
        workers=Workers(2, ray=address),
    ):
        print(json.dumps([outcome.item, outcome.result, outcome.error]), flush=True)
except AnomalyError as error:
    print(json.dumps(f"{type(error).__name__}: {error}"))
"""
ROOT = Path(__file__).parents[2]


def on_ray(address: str, name: str, initialise: str, num: int) -> list[object]:
    """What a program of its own prints: Ray warns, and keeps threads and sockets open, which a test may not."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, initialise, str(num), address],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if "(raylet)" not in line]


EXPECTED_FAILURES = {
    1: "odd items cannot be used",
    3: "[Errno 2] No such file or directory: 'item-3'",
    5: "KeyError: 'a fault of the program'",
}


def test_each_item_has_its_result() -> None:
    outcomes = list(run_tasks(times, range(7), initialise=two, workers=Workers(2)))
    assert sorted((o.item, o.result, o.error) for o in outcomes) == [(n, 2 * n, None) for n in range(7)]


def test_no_items_need_no_worker() -> None:
    assert list(run_tasks(times, [], initialise=dying, workers=Workers(2))) == []


def test_a_worker_is_initialised_once_in_a_process_of_its_own() -> None:
    outcomes = list(run_tasks(process_of, range(6), initialise=own_process, workers=Workers(2, cpus=3)))
    found = [o.result for o in outcomes if o.result is not None]
    assert len(found) == 6
    assert all(made == used != os.getpid() for made, used, _ in found)
    assert {threads for _, _, threads in found} == {"3"}
    assert os.environ.get("OMP_NUM_THREADS") != "3"


def test_an_item_that_fails_costs_itself_alone_and_a_death_is_one_of_them() -> None:
    outcomes = {o.item: o for o in run_tasks(failing, range(9), initialise=two, workers=Workers(2))}
    assert {n: o.error for n, o in outcomes.items() if o.error and n != 7} == EXPECTED_FAILURES
    assert {n: o.result for n, o in outcomes.items() if not o.error} == {n: 2 * n for n in (0, 2, 4, 6, 8)}
    assert "died of it 3 times" in str(outcomes[7].error)


def test_a_worker_that_dies_while_it_has_nothing_to_do_is_replaced() -> None:
    outcomes = run_tasks(process_of, range(3), initialise=own_process, workers=Workers(1))
    first = next(outcomes).result
    assert first is not None
    worker = psutil.Process(first[1])
    worker.kill()
    worker.wait()
    time.sleep(0.5)  # until the pool has noticed
    others = [outcome.result for outcome in outcomes]
    assert [result is not None and result[1] != first[1] for result in others] == [True, True]


@pytest.mark.parametrize(
    ("gpus", "visible", "expected"),
    [
        (1, "", ["0", "1"]),
        (1, "GPU-a, GPU-b", ["GPU-a", "GPU-b"]),
        (2, "", ["0,1"]),
        (0.5, "", ["0", "0", "1", "1"]),
        (0.4, "5,7", ["5", "5", "7", "7"]),  # a third of 0.4 would not fit
        (0.3, "", ["0", "0", "0", "1", "1", "1"]),
    ],
)
def test_workers_share_gpus_as_far_as_these_go(
    gpus: float, visible: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker has one item, as each is kept until all have begun."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    workers = Workers(len(expected), gpus=gpus)
    with Processes(Worker(two, visible_gpus), workers) as pool:
        for place in range(len(expected)):
            pool.submit(place, place)
        found: dict[int, str | None] = {}
        while len(found) < len(expected):
            found |= {place: answer.result for place, answer in pool.wait()}
    assert [found[place] for place in range(len(expected))] == expected
    with pytest.raises(ClusterError, match=r"cannot be had: this machine has 2 GPUs\. Ask for fewer workers"):
        Processes(Worker(two, visible_gpus), Workers(len(expected) + 1, gpus=gpus))
    with pytest.raises(ClusterError, match=r"^3 workers of 1 GPU each cannot"):
        Processes(Worker(two, visible_gpus), Workers(3, gpus=1.0))


@pytest.mark.parametrize(("initialise", "error"), [(refusing, UsageError), (dying, ClusterError)])
def test_workers_that_cannot_be_prepared_end_it_all(initialise: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"no such thing|memory"):
        list(run_tasks(times, range(3), initialise=initialise, workers=Workers(2)))  # type: ignore[arg-type]


def test_closing_early_leaves_no_process() -> None:
    before = psutil.Process().children(recursive=True)
    outcomes = run_tasks(times, count(), initialise=two, workers=Workers(2))
    assert len(list(islice(outcomes, 5))) == 5
    outcomes.close()  # type: ignore[attr-defined]
    left = [p for p in psutil.Process().children(recursive=True) if p not in before]
    assert [p for p in left if "resource_tracker" not in " ".join(p.cmdline())] == []


def test_workers_end_when_their_parent_is_killed() -> None:
    program = """
import time
from anomaly.distributed.tasks import run_tasks
from anomaly.distributed.workers import Workers
from tests.distributed.functions import own_process, process_of
if __name__ == "__main__":
    for outcome in run_tasks(process_of, range(1), initialise=own_process, workers=Workers(1)):
        print(outcome.result[1], flush=True)
        time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    worker.wait(20)


class Recording:
    """A pool without processes, whose first place alone ever starts; it notes the most items that it had at once."""

    num = 3

    def __init__(self) -> None:
        self.prepared: list[int] = []
        self.released: list[int] = []
        self._items: dict[int, int] = {}
        self._told: list[tuple[int, Answer[int]]] = []

    def prepare(self, place: int) -> None:
        self.prepared.append(place)
        if place == 0:
            self._told.append((place, Answer()))

    def submit(self, place: int, item: int) -> None:
        self._told.append((place, Answer(item * 10)))

    def release(self, place: int) -> None:
        self.released.append(place)

    def wait(self) -> list[tuple[int, Answer[int]]]:
        told, self._told = self._told, []
        assert told, "it waits for a worker that never comes"
        return told


def test_items_do_not_wait_for_workers_that_never_start() -> None:
    pool = Recording()
    assert list(drive(pool, range(5))) == [Outcome(n, 10 * n, None) for n in range(5)]
    assert (pool.prepared, pool.released) == ([0, 1, 2], [0])


def test_items_are_taken_when_a_worker_is_free() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    assert len(list(islice(drive(Recording(), items()), 4))) == 4
    assert taken <= 3 + 4 + 1


@pytest.mark.parametrize(
    ("settings", "said"), [({"num": 0}, "at least 1"), ({"cpus": 0}, "core"), ({"gpus": 1.5}, "GPU")]
)
def test_workers_that_cannot_be(settings: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Workers(**settings)  # type: ignore[arg-type]


def test_on_ray_each_item_has_its_result_and_failures_cost_themselves_alone(cluster: RayCluster) -> None:
    outcomes = {o[0]: o[1:] for o in on_ray(cluster.address, "failing", "two", 7)}  # type: ignore[index]
    assert {n: error for n, (_, error) in outcomes.items() if error} == EXPECTED_FAILURES
    assert {n: result for n, (result, _) in outcomes.items() if result is not None} == {n: 2 * n for n in (0, 2, 4, 6)}


def test_on_ray_a_worker_that_cannot_be_prepared_is_one_sentence(cluster: RayCluster) -> None:
    assert on_ray(cluster.address, "times", "refusing", 3) == ["UsageError: there is no such thing"]


def test_a_cluster_that_is_not_there_is_one_sentence() -> None:
    started = time.monotonic()
    with pytest.raises(ClusterError, match=re.escape("no Ray cluster answers at 127.0.0.1:9 (")):
        list(run_tasks(times, range(3), initialise=two, workers=Workers(ray="127.0.0.1:9")))
    with pytest.raises(ClusterError, match=re.escape("no Ray cluster answers at head..example:6379 (")):
        list(run_tasks(times, range(3), initialise=two, workers=Workers(ray="head..example:6379")))
    with pytest.raises(ClusterError, match="HOST:PORT"):
        list(run_tasks(partial(times), range(3), initialise=two, workers=Workers(ray="nonsense")))
    assert time.monotonic() - started < 30
