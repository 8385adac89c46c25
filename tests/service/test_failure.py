"""A worker thread that dies: the server says so at once, is not ready, and exits with the reason."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree
from typing import Any

import httpx
import pytest

from anomaly.errors import BundleError
from service.errors import EngineFailedError
from service.serving import serve
from service.settings import Settings
from tests.service.fakes import add_bundle, open_instance, png
from tests.service.routes.test_score import code
from tests.service.test_load import depth, eventually

PROGRAM = """
from pathlib import Path
from service.engine import batcher
run = batcher._run
def run_or_die(*args):
    if Path(ORDER).exists():
        raise SystemExit("killed by a test")
    return run(*args)
batcher._run = run_or_die
"""


def test_a_server_whose_worker_died_is_alive_but_not_ready_and_fails_what_waits_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_instance(tmp_path, deadline_s=3600.0, max_batch=1) as instance, ThreadPoolExecutor(2) as clients:
        assert instance.client.get("/readyz").status_code == 200

        def die(pixels: Any) -> Any:
            assert instance.detector.gate.wait(20)
            raise SystemExit("killed by a test")

        monkeypatch.setattr(instance.detector, "evidence", die)
        instance.detector.gate.clear()
        waits = [clients.submit(instance.score, png(1)), clients.submit(instance.batch, png(2), png(3))]
        eventually(lambda: depth(instance) == 3)
        instance.detector.gate.set()
        for answer in waits:
            assert code(answer.result(timeout=20)) == (503, "engine_failed")
            assert int(answer.result().headers["Retry-After"]) > 0
        ready = instance.client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json() == {
            "ready": False, "loaded": ["m/1"], "loading": [], "failed": [], "message": EngineFailedError.MESSAGE,
        }  # fmt: skip
        assert instance.client.get("/healthz").status_code == 200
        assert code(instance.score(png(4))) == (503, "engine_failed")
        assert depth(instance) == 0


def test_the_process_exits_with_the_reason_on_standard_error(bigan_dir: Path, tmp_path: Path) -> None:
    copytree(bigan_dir, tmp_path / "models" / "m")
    order = tmp_path / "die"
    program = PROGRAM.replace("ORDER", repr(str(order))) + "from anomaly.cli import app; app()"
    options = ["serve", "--models", str(tmp_path / "models"), "--port", "0", "--device", "cpu"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *options],
        env=os.environ | {"OMP_NUM_THREADS": "1", "ANOMALY_DEADLINE_S": "3600"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = re.findall(r"http://[\d.]+:\d+", process.stdout.readline())[0]
            with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
                headers = {"Content-Type": "image/png"}
                assert client.post("/score", content=png(1), headers=headers).status_code == 200
                order.touch()
                assert code(client.post("/score", content=png(1), headers=headers)) == (503, "engine_failed")
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 2
    last = " ".join(said[said.rindex("error:") :].split())  # the command line wraps it
    assert "cannot score any more" in last
    assert "the thread 'batcher' died of SystemExit: killed by a test" in last


def test_where_only_the_highest_version_is_broken_serve_says_which_could_be_served(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    add_bundle(tmp_path, "m", 2, flaw="broken")
    told = rf"m/2: .*\. To serve version 1, take {re.escape(str(tmp_path))}/m/2 out of the models folder"
    with pytest.raises(BundleError, match=told):
        serve(Settings(models=tmp_path, port=0, device="cpu"))
