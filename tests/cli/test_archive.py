"""`anomaly archive`: Ctrl-C leaves whole files only, and the bar shows speed, errors and what remains."""

import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from anomaly.cli.progress import ArchiveBar
from anomaly.distributed.tally import Tally
from benchmarks.archives import command, leftovers, write_tars
from tests.cli.calls import done
from tests.cli.test_progress import a_console

MNIST = Path(__file__).parents[2] / "models" / "mnist"


def test_ctrl_c_leaves_whole_files_only(tmp_path: Path) -> None:
    source, out = write_tars(tmp_path / "src", 30, 60), tmp_path / "dest"
    driver = subprocess.Popen(
        command(MNIST, source, out, "--workers", 1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(list(out.glob("*.parquet"))) < 2:
        assert driver.poll() is None
        time.sleep(0.02)
    driver.send_signal(signal.SIGINT)
    _, told = driver.communicate(timeout=120)
    assert driver.returncode not in (0, None)
    assert "Traceback" not in told
    assert "the same command goes on from there" in " ".join(told.split())
    assert leftovers(out) == []
    assert not (out / "_manifest.json").exists()
    assert "the run has not ended" in done("archive", "--status", out).stdout


def test_the_bar_shows_speed_errors_and_shards() -> None:
    console, stream = a_console(terminal=True)
    tally = Tally(10, num_shards=2, num_scored=500, errors=Counter({"is truncated": 3}), started=time.monotonic() - 10)
    with ArchiveBar(console) as bar:
        bar.start(4)
        bar.shard(tally)
    assert "2/4" in stream.getvalue()
    assert "50 images/s  3 × is truncated" in stream.getvalue()
