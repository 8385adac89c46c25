"""A served history on a disk that fills up, and one whose process is killed: by processes of their own."""

import resource
import sys
import time
from pathlib import Path
from shutil import copytree

import pytest

from benchmarks.history_kills import kill_and_look
from tests.digit_images import normals, write_images
from tests.service.processes import Process, running
from tests.service.records.history.entries import kept

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits a running process, and kills it")


def failures(process: Process) -> float:
    lines = process.client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("anomaly_history_failures_total "))


def test_a_full_disk_costs_rows_and_no_score_and_ends_by_itself(
    bigan_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The system refuses to let the process's files grow, as a full disk does, and then lets them again."""
    copytree(bigan_dir, tmp_path / "models" / "m")
    history = tmp_path / "history.sqlite"
    (image,) = write_images(tmp_path / "images", normals()[:1])

    def limit(process: Process, num_bytes: int) -> None:
        hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (num_bytes, hard))

    def score(process: Process) -> int | None:
        with image.open("rb") as file:
            answer = process.client.post("/score", files={"file": ("x" * 200, file)})
        assert answer.status_code == 200
        number: int | None = answer.json()["history_id"]
        return number

    with running(tmp_path / "models", ANOMALY_HISTORY=str(history), ANOMALY_LOG_LEVEL="warning") as process:
        acknowledged = [score(process)]
        limit(process, history.with_name("history.sqlite-wal").stat().st_size)  # the log is a file too, but smaller
        lost = [score(process) for _ in range(20)]
        assert lost == [None] * 20
        assert failures(process) == 20
        limit(process, resource.RLIM_INFINITY)
        deadline = time.monotonic() + 20
        while (number := score(process)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        acknowledged.append(number)
    assert kept(history)[::-1] == acknowledged
    told = [line for line in capfd.readouterr().err.splitlines() if "the history is" in line]
    assert ["not written" in told[0], "written again" in told[-1]] == [True, True]
    assert len(told) == 2


def test_no_acknowledged_row_is_lost_when_the_process_is_killed_under_load(bigan_dir: Path, tmp_path: Path) -> None:
    copytree(bigan_dir, tmp_path / "models" / "m")
    write_images(tmp_path / "images", normals())
    found = kill_and_look(tmp_path / "models", "m", tmp_path / "images", times=2, load_s=0.7)
    assert found.num_acknowledged > 20
    assert (found.num_lost, found.num_different, found.problems) == (0, 0, [])
