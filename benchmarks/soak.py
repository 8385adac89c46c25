"""A quarter of an hour of everything: does memory grow, do descriptors leak?

    python -m benchmarks.soak [--models models] [--seconds 900]

Round after round of well-behaved clients, forms, broken images, more clients than can be served, and pictures in the
answers. After each round, when the queue is empty, resident memory and open descriptors are read; a line is fitted
through those of the second half.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.drawings import draw_line, write_files
from benchmarks.load import send
from benchmarks.serving import Program, serving

ROUND_S = 4.0
MAX_SLOPE_MIB_PER_MINUTE = 1.0
ROUNDS: tuple[tuple[object, ...], ...] = (
    ("good", "--clients", 16),
    ("good", "--clients", 16, "--form"),
    ("broken", "--clients", 8),
    ("good", "--clients", 300, "--rate", 1500.0),
    ("good", "--clients", 1, "--path", "/score?heatmap=true"),
)


def main() -> int:
    """Soak, and say whether what must hold held."""
    options = _options()
    with tempfile.TemporaryDirectory() as temporary, serving(options.models, default_model="mnist") as server:
        folder = Path(temporary)
        write_files(folder / "good", 500, draw_line, 28)
        write_files(folder / "broken", 50, lambda number, side: draw_line(number, side)[: 40 + number], 28)
        samples, statuses = _soak(server, folder, options.seconds)
    minutes, memory_mib, descriptors = np.array(samples)[len(samples) // 2 :].T
    slope = float(np.polyfit(minutes, memory_mib, 1)[0])
    holds = abs(slope) <= MAX_SLOPE_MIB_PER_MINUTE and len(set(descriptors)) <= 2
    print(
        f"{'holds ' if holds else 'FAILED'}  {len(samples)} rounds in {options.seconds / 60:.0f} minutes, answers "
        f"{statuses}; in the second half memory {memory_mib.min():.0f} to {memory_mib.max():.0f} MiB, slope "
        f"{slope:+.2f} MiB a minute, descriptors {descriptors.min():.0f} to {descriptors.max():.0f}"
    )
    return 0 if holds else 1


def _soak(server: Program, folder: Path, seconds: float) -> tuple[list[tuple[float, float, float]], dict[int, int]]:
    """(minutes, MiB, descriptors) after each round, and how often each status came."""
    started, samples, statuses = time.monotonic(), [], dict[int, int]()
    while (elapsed := time.monotonic() - started) < seconds:
        for kind, *options in ROUNDS:
            load = send(server.port, folder / str(kind), "--seconds", ROUND_S, *options)
            for status, count in load.statuses.items():
                statuses[status] = statuses.get(status, 0) + count
        time.sleep(1.0)
        samples.append((elapsed / 60, server.memory_mib(), float(server.num_descriptors())))
    return samples, statuses


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--seconds", type=float, default=900.0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
