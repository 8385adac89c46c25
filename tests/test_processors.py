"""As many threads as there are processors for this process, where they compute."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anomaly.processors import num_processors, num_threads

LOOKS = """
import torch

from anomaly.data.ahead import map_ahead
from anomaly.distributed.processes import _num_places
from anomaly.distributed.workers import Workers
from anomaly.processors import num_processors, num_threads
from anomaly.torch_settings import own_settings
from service.settings import Settings

torch.set_num_threads(7)
served = Settings(_env_file=None).threads
begun = []
next(map_ahead(abs, (begun.append(each) or each for each in range(99))))
with own_settings():
    print(num_processors(), num_threads(), torch.get_num_threads(), served, _num_places(Workers()), len(begun) // 4)
assert torch.get_num_threads() == 7
"""


def found(cgroup: Path | None = None, **environment: str) -> list[int]:
    """What a process finds; with `cgroup` in the place of the system's folder of limits."""
    words = [sys.executable, "-c", LOOKS]
    if cgroup is not None:
        mount = f'mount --bind "{cgroup}" /sys/fs/cgroup && exec "$@"'
        words = ["unshare", "--mount", "sh", "-c", mount, "sh", *words]
    asked = ("OMP_NUM_THREADS", "ANOMALY_THREADS")
    variables = {name: value for name, value in os.environ.items() if name not in asked}
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=variables | environment, check=False)
    assert done.returncode == 0, done.stderr
    return [int(each) for each in done.stdout.split()]


def test_affinity_limits_all_threads() -> None:
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert found() == [1] * 6
    finally:
        os.sched_setaffinity(0, mine)


@pytest.mark.parametrize(("quota", "num"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None)])
def test_a_containers_share_of_time_limits_all_threads(tmp_path: Path, quota: str, num: int | None) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    may_mount = ["unshare", "--mount", "mount", "--bind", str(tmp_path), "/sys/fs/cgroup"]
    if num_processors() == 1 or subprocess.run(may_mount, capture_output=True, check=False).returncode:
        # skipped, not failed: a limit needs something to limit, and a folder of limits of one's own needs a mount
        pytest.skip("needs two processors, and leave to mount (root)")
    of_process, *of_threads = found(tmp_path)
    assert of_process == (num or len(os.sched_getaffinity(0)))
    assert num is None or of_threads == [num] * 5


def test_who_asks_for_threads_gets_them() -> None:
    assert found(OMP_NUM_THREADS="5")[:3] == [num_processors(), 5, 5]


@pytest.mark.parametrize(("asked", "expected"), [("3", 3), ("2,4", 2), ("x", None), ("0", None), ("", None)])
def test_what_is_no_number_asks_for_nothing(monkeypatch: pytest.MonkeyPatch, asked: str, expected: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert num_threads() == (expected or num_processors())


def test_without_joblib_the_affinity_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "joblib", None)
    assert num_processors() == len(os.sched_getaffinity(0))
