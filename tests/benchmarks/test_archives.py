"""The series of `make archive-kills` and `make archive-memory` in short."""

from pathlib import Path

import pytest

from benchmarks.archive_kills import kill_and_look
from benchmarks.archive_memory import memory_mib
from benchmarks.archives import write_tars

MNIST = Path(__file__).parents[2] / "models" / "mnist"


@pytest.mark.parametrize("victim", ["worker", "driver"])
def test_results_are_the_same_bytes_after_a_kill(victim: str, tmp_path: Path) -> None:
    outcome = kill_and_look(MNIST, write_tars(tmp_path / "src", 6, 100), victim, times=1)
    assert outcome.holds, outcome


def test_the_memory_of_the_loop_does_not_grow_with_the_shards() -> None:
    assert memory_mib(30_000) - memory_mib(1000) < 16
