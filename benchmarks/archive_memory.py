"""What memory the loop takes that schedules shards, alone, without Ray: from a thousand to a million shards.

    python -m benchmarks.archive_memory [--shards 1000,1000000]

A list of shards is read as `anomaly archive` reads one, each shard goes through the loop of `anomaly.distributed.tasks`
to workers that do nothing, and what they answer is counted as that of real ones. Each number of shards has a process
of its own, whose largest memory is measured. It may grow by 64 MiB at most.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from anomaly.distributed.scoring import ShardSummary
from anomaly.distributed.shards import Shard, list_shards
from anomaly.distributed.tally import Tally
from anomaly.distributed.tasks import drive
from anomaly.distributed.workers import Answer

LIMIT_MIB = 64.0
NUM_CALIBRATION, NUM_IMAGES, NUM_PLACES = 1000, 1000, 64


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", default="1000,1000000")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only is not None:
        schedule(options.only)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0
    print("| shards | MiB at most | s |\n|---|---|---|")
    most = []
    for num in map(int, options.shards.split(",")):
        started = time.monotonic()
        most.append(memory_mib(num))
        print(f"| {num:,} | {most[-1]:.1f} | {time.monotonic() - started:.1f} |", flush=True)
    print(f"grows by {most[-1] - most[0]:.1f} MiB; at most {LIMIT_MIB:g} are allowed")
    return 0 if most[-1] - most[0] <= LIMIT_MIB else 1


def memory_mib(num_shards: int) -> float:
    """The largest memory of a process that schedules so many."""
    words = [sys.executable, "-m", "benchmarks.archive_memory", "--only", str(num_shards)]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def schedule(num_shards: int) -> Tally:
    """Read the list, schedule, count."""
    tally = Tally(NUM_CALIBRATION)
    with tempfile.TemporaryDirectory() as temporary:
        listing = Path(temporary) / "shards.txt"
        with listing.open("w") as file:
            file.writelines(f"s3://plant/line-{n % 40}/shard-{n:09d}.tar\n" for n in range(num_shards))
        for outcome in drive(Answering(), list_shards(str(listing))):
            tally.add(outcome)
    assert tally.num_shards == num_shards
    return tally


class Answering:
    """Workers that have done what they are given at once: every hundredth shard is damaged."""

    num = NUM_PLACES

    def __init__(self) -> None:
        self._told: list[tuple[int, Answer[ShardSummary]]] = []

    def prepare(self, place: int) -> None:
        """It is."""
        self._told.append((place, Answer()))

    def submit(self, place: int, item: Shard) -> None:
        """It is done."""
        number = int(item.path.removeprefix("shard-").removesuffix(".tar"))
        if number % 100 == 99:
            answer: Answer[ShardSummary] = Answer(error=f"{item.name}: the shard is damaged")
        else:
            counts = {1 + (number * 7 + k) % (NUM_CALIBRATION + 1): NUM_IMAGES // 20 for k in range(20)}
            answer = Answer(ShardSummary(NUM_IMAGES, 1, 3, NUM_IMAGES, counts, {f"kind {number % 50}": 1}))
        self._told.append((place, answer))

    def release(self, place: int) -> None:
        """Nothing is there to end."""

    def wait(self) -> list[tuple[int, Answer[ShardSummary]]]:
        """What was told since."""
        told, self._told = self._told, []
        return told


if __name__ == "__main__":
    sys.exit(main())
