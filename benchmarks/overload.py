"""Ten times as many requests as can be served, for a minute: what is answered, how soon, and at what cost?

    python -m benchmarks.overload [--models FOLDER_WITH_textures] [--seconds 60]

First the capacity: what 32 clients in a closed loop get scored a second. Then requests start at ten times that rate,
whatever the answers are. The model is the one of 256 × 256 pixels that `throughput` trains: on two processors, requests
for the small one cannot be sent ten times as fast as they are scored, let alone be refused.
"""

import argparse
import sys
import tempfile
import threading
from pathlib import Path

from benchmarks.drawings import draw_texture, train_on_textures, write_files
from benchmarks.load import Load, Running, send
from benchmarks.serving import Program, serving

SIDE, NUM_FILES, NUM_CONNECTIONS = 256, 200, 600
DEADLINE_S = 2.0
FACTOR = 10
SETTLE_S = 5
SLACK_S = 0.1
SAMPLE_S = 1.0


def main() -> int:
    """Measure, print, and say whether all that must hold held."""
    options = _options()
    with tempfile.TemporaryDirectory() as temporary:
        models = options.models or train_on_textures(Path(temporary) / "models", SIDE)
        folder = Path(temporary) / "images"
        write_files(folder, NUM_FILES, draw_texture, SIDE)
        with serving(models, deadline_s=DEADLINE_S) as server:
            capacity = send(server.port, folder, "--seconds", options.seconds / 10).rate
            rate = FACTOR * capacity
            print(f"capacity {capacity:.1f} images/s; now {rate:.0f} requests/s for {options.seconds:g} s", flush=True)
            running = Running(
                server.port, folder, "--seconds", options.seconds, "--rate", rate, "--clients", NUM_CONNECTIONS
            )
            memory_mib = _watch_memory(server, running)
            load = running.result()
        return _report(load, capacity, memory_mib)


def _watch_memory(server: Program, running: Running) -> list[float]:
    """Resident MiB, a sample a second, while the load runs."""
    samples: list[float] = []
    pause = threading.Event()
    while running.is_running:
        samples.append(server.memory_mib())
        pause.wait(SAMPLE_S)
    return samples


def _report(load: Load, capacity: float, memory_mib: list[float]) -> int:
    worst_ms = load.percentile_ms(99)
    third = len(memory_mib) // 3
    early, late = max(memory_mib[:third]), max(memory_mib[-third:])
    goodput = load.rate / capacity
    held = {
        f"statuses {load.statuses}, {load.unsent} not sent": set(load.statuses) <= {200, 429, 503},
        f"p99 of scored {worst_ms:.0f} ms, deadline {1e3 * DEADLINE_S:.0f} ms": worst_ms
        <= 1e3 * (DEADLINE_S + SLACK_S),
        f"goodput {load.rate:.1f} images/s, {goodput:.2f} of capacity": goodput >= 0.8,
        f"memory at most {early:.0f} MiB in the first third, {late:.0f} in the last": late <= 1.05 * early,
    }
    for what, holds in held.items():
        print(f"{'holds ' if holds else 'FAILED'}  {what}")
    print(f"refusals' codes: {load.codes}; the clients cost {load.cpu_s / load.seconds:.2f} cores")
    return 0 if all(held.values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="a folder that has the bundle already")
    parser.add_argument("--seconds", type=float, default=60.0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
