"""The server killed, and the server told to stop, both under load.

    python -m benchmarks.stops [--models models] [--times 20]

1. kill -9, so many times: a supervisor (here this program; in production systemd or a container's restart policy)
   starts it again on the same port; how long until it is ready? Then every bundle's sums are checked: no torn file.
2. SIGTERM, half as many times: is it not ready from then on, is every request that was sent over an open connection
   answered, with a score or a 503, and does it exit with 0 within the grace time?
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from anomaly.bundle import list_bundles
from anomaly.bundle import load as load_bundle
from benchmarks.drawings import draw_line, write_files
from benchmarks.generator import BROKEN
from benchmarks.load import Running
from benchmarks.serving import start

MODEL = "mnist"
NUM_CLIENTS = 32
LOAD_S = 2.0
READY_S, GRACE_S = 10.0, 30.0


def main() -> int:
    """Do both and say whether what must hold held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, models = Path(temporary) / "images", Path(temporary) / "models"
        write_files(folder, 200, draw_line, 28)
        shutil.copytree(options.models, models)
        killed = kill(models, folder, options.times)
        stopped = stop(models, folder, max(1, options.times // 2))
    return 0 if killed and stopped else 1


def kill(models: Path, folder: Path, times: int) -> bool:
    """Kill -9 and start again."""
    server = start(models, default_model=MODEL)
    seconds = []
    for _ in range(times):
        load = Running(server.port, folder, "--clients", NUM_CLIENTS, "--seconds", LOAD_S)
        time.sleep(LOAD_S / 2)
        server.process.kill()
        server.process.wait()
        killed = time.perf_counter()
        server = start(models, port=server.port, default_model=MODEL)
        assert server.is_ready()
        seconds.append(time.perf_counter() - killed)
        load.result()
    server.stop()
    for ref in list_bundles(models):
        load_bundle(ref.path)
    holds = max(seconds) <= READY_S
    print(
        f"{_word(holds)}  killed {times} times: ready again after {min(seconds):.1f} to {max(seconds):.1f} s, "
        f"every file of {len(list_bundles(models))} bundles as its sum says",
        flush=True,
    )
    return holds


def stop(models: Path, folder: Path, times: int) -> bool:
    """SIGTERM under load."""
    seconds, lost, late, codes = [], 0, 0, set()
    for _ in range(times):
        server = start(models, default_model=MODEL, grace_s=GRACE_S)
        load = Running(server.port, folder, "--clients", NUM_CLIENTS, "--seconds", LOAD_S)
        time.sleep(LOAD_S / 2)
        server.process.send_signal(signal.SIGTERM)
        told = time.perf_counter()
        late += server.is_ready()
        codes.add(server.process.wait(2 * GRACE_S))
        seconds.append(time.perf_counter() - told)
        lost += load.result().statuses.get(BROKEN, 0)
    holds = codes == {0} and not lost and not late and max(seconds) <= GRACE_S
    print(
        f"{_word(holds)}  told to stop {times} times: {late} times ready afterwards, {lost} requests sent and not "
        f"answered, exit codes {sorted(codes)} after {min(seconds):.1f} to {max(seconds):.1f} s"
    )
    return holds


def _word(holds: bool) -> str:
    return "holds " if holds else "FAILED"


if __name__ == "__main__":
    sys.exit(main())
