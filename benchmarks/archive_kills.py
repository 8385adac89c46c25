"""An archive is scored on a Ray cluster of two nodes while parts of it are killed (-9): are the results the same bytes?

    python -m benchmarks.archive_kills [--model models/mnist] [--shards 24] [--images 300] [--times 5]
        [--victims worker,node,head,driver]

Each time one of them is killed at a random moment of a run: a worker's process; the raylet of the node without the
driver; the raylet of the head, with which the cluster ends, so another is started; the driver. Where the driver has not
ended well by itself, the same command is run again. Then the results must be those of an undisturbed run without Ray,
byte for byte, and no other file may be left.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.archives import command, hashes, leftovers, run, write_tars
from benchmarks.ray_clusters import RayCluster, ray_cluster

VICTIMS = ("worker", "node", "head", "driver")
MOST_S = 600.0
MOST_TRIES = 10


@dataclass(frozen=True)
class KillOutcome:
    """How many runs had a kill; how many of them ended well by themselves; what was wrong in the end."""

    victim: str
    num_kills: int
    num_unaided: int
    num_different: int
    num_missing: int
    num_left: int
    seconds: float

    @property
    def holds(self) -> bool:
        """The same bytes, all of them, and nothing else."""
        return not (self.num_different or self.num_missing or self.num_left)

    def line(self) -> str:
        """A row of the table."""
        return (
            f"| {self.victim} | {self.num_kills} | {self.num_unaided} | {self.num_different} | {self.num_missing} "
            f"| {self.num_left} | {self.seconds:.0f} | {'holds' if self.holds else 'FAILED'} |"
        )


HEADER = """\
| killed (-9) | times | ended well without a second run | results that differ | missing | other files | s | |
|---|---|---|---|---|---|---|---|"""


def main() -> int:
    """Kill, look, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/mnist"))
    parser.add_argument("--shards", type=int, default=24)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--victims", default=",".join(VICTIMS))
    options = parser.parse_args()
    print(HEADER, flush=True)
    outcomes = []
    with tempfile.TemporaryDirectory() as temporary:
        source = write_tars(Path(temporary) / "src", options.shards, options.images)
        for victim in options.victims.split(","):
            outcomes.append(kill_and_look(options.model, source, victim, times=options.times))
            print(outcomes[-1].line(), flush=True)
    return 0 if all(outcome.holds for outcome in outcomes) else 1


def kill_and_look(model: Path, source: Path, victim: str, *, times: int) -> KillOutcome:
    """So many runs, each with one kill."""
    started = time.monotonic()
    num_unaided = num_different = num_missing = num_left = 0
    with tempfile.TemporaryDirectory() as temporary, _clusters(victim) as clusters:
        undisturbed = run(model, source, Path(temporary) / "undisturbed", "--workers", 2)
        assert undisturbed.returncode == 0, undisturbed.stderr
        expected = hashes(Path(temporary) / "undisturbed")
        for turn in range(times):
            out = Path(temporary) / f"dest-{turn}"
            returncode = _killed_run(model, source, out, victim, clusters, most_results=len(expected) // 2)
            num_unaided += returncode == 0
            if returncode != 0:
                again = run(model, source, out, "--ray", clusters.running().address, "--workers", 2)
                assert again.returncode == 0, f"{again.stdout}\n{again.stderr}"
            found = hashes(out)
            num_different += sum(found[name] != value for name, value in expected.items() if name in found)
            num_missing += len(expected.keys() ^ found.keys())
            num_left += len(leftovers(out))
    seconds = time.monotonic() - started
    return KillOutcome(victim, times, num_unaided, num_different, num_missing, num_left, seconds)


def _killed_run(model: Path, source: Path, out: Path, victim: str, clusters: "_Clusters", *, most_results: int) -> int:
    """A run with one kill, after some results; its exit code. A run that was over before is done again."""
    for _ in range(MOST_TRIES):
        words = ("--ray", clusters.running().address, "--workers", 2)
        driver = subprocess.Popen(
            command(model, source, out, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for_results(out, driver, random.randint(1, most_results))  # noqa: S311  # no secret
            time.sleep(random.uniform(0, 0.3))  # noqa: S311
            was_running = _kill(victim, driver, clusters.running())
            with suppress(subprocess.TimeoutExpired):
                driver.wait(MOST_S / 5)
        finally:
            driver.kill()
            driver.wait()
        if was_running:
            return driver.returncode
        shutil.rmtree(out)
    raise AssertionError(f"{MOST_TRIES} runs were over before the kill; give it more shards or images")


class _Clusters:
    """A cluster that is whole: what was killed of it is started again when it is asked for."""

    def __init__(self) -> None:
        self._entered = ray_cluster(1, 1)
        self._cluster = self._entered.__enter__()

    def running(self) -> RayCluster:
        head, *others = self._cluster.nodes
        if head.poll() is not None or not self._has_raylet(0):
            self.stop()
            self._entered = ray_cluster(1, 1)
            self._cluster = self._entered.__enter__()
        elif others[-1].poll() is not None or not self._has_raylet(len(others)):
            self._cluster.add_node()
        return self._cluster

    def stop(self) -> None:
        self._entered.__exit__(None, None, None)

    def _has_raylet(self, number: int) -> bool:
        return bool(_raylets(self._cluster, number))


@contextmanager
def _clusters(victim: str) -> Iterator[_Clusters]:
    clusters = _Clusters()
    try:
        yield clusters
    finally:
        clusters.stop()


def _raylets(cluster: RayCluster, number: int) -> list[psutil.Process]:
    """The raylet of a node, by the process that started it."""
    with suppress(psutil.Error):
        children = psutil.Process(cluster.nodes[number].pid).children()
        return [each for each in children if each.name() == "raylet" and each.status() != psutil.STATUS_ZOMBIE]
    return []


def _kill(victim: str, driver: "subprocess.Popen[bytes]", cluster: RayCluster) -> bool:
    """Whether there was something to kill: a run may be over already."""
    if driver.poll() is not None:
        return False
    processes: list[subprocess.Popen[bytes]] | list[psutil.Process]
    match victim:
        case "worker":
            processes = cluster.named("ray::Actor")
        case "node":
            processes = _raylets(cluster, len(cluster.nodes) - 1)
        case "head":
            processes = _raylets(cluster, 0)
        case _:
            processes = [driver]
    if not processes:
        return False
    with suppress(psutil.NoSuchProcess):
        random.choice(processes).kill()  # noqa: S311
        return True
    return False


def _wait_for_results(out: Path, driver: "subprocess.Popen[bytes]", wanted: int) -> None:
    until = time.monotonic() + MOST_S
    while len(list(out.glob("*.parquet"))) < wanted:
        assert driver.poll() is None, f"the driver has ended by itself, with {driver.returncode}"
        assert time.monotonic() < until, "the driver does not go on"
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
