"""The series of `make watch-kills` in short: fewer files, fewer kills."""

from pathlib import Path

import pytest

from benchmarks.brokers import mosquitto
from benchmarks.watch_kills import kill_and_look

MNIST = Path(__file__).parents[2] / "models" / "mnist"


@pytest.mark.parametrize("target", ["file", "webhook", "mqtt"])
def test_nothing_is_lost_by_kills(target: str) -> None:
    if target == "mqtt" and mosquitto() is None:
        # skipped, not failed: the broker is a program of Debian; `.ci/run` installs it
        pytest.skip("mosquitto is not installed (Debian's package mosquitto)")
    outcome = kill_and_look(MNIST, target, num_files=200, times=3 if target == "file" else 1)
    assert outcome.holds, outcome
    assert outcome.num_reports >= outcome.num_files
