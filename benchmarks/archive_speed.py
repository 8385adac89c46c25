"""Images a second of `anomaly archive`: two workers of a Ray cluster beside two plain processes, one thread each.

    python -m benchmarks.archive_speed [--model models/mnist] [--shards 40] [--images 500] [--rounds 3]

Both score the same tar shards, in turns. The rate is of the time from the first file of results to the last, so that it
is not of how long processes take to start; the whole time is beside it. At least 0.9 of the plain rate is wanted.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.archives import run, write_tars
from benchmarks.ray_clusters import ray_cluster

WANTED = 0.9


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/mnist"))
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, ray_cluster(1, 1) as cluster:
        source = write_tars(Path(temporary) / "src", options.shards, options.images)
        print("| round | two plain processes, images/s | two workers of Ray, images/s | whole time, s | ratio |")
        print("|---|---|---|---|---|")
        ratios = []
        for turn in range(options.rounds):
            plain, plain_s = rate(options.model, source, Path(temporary) / f"plain-{turn}", options.images)
            ray, ray_s = rate(
                options.model, source, Path(temporary) / f"ray-{turn}", options.images, "--ray", cluster.address
            )
            ratios.append(ray / plain)
            print(
                f"| {turn + 1} | {plain:,.0f} | {ray:,.0f} | {plain_s:.1f}, {ray_s:.1f} | {ratios[-1]:.2f} |",
                flush=True,
            )
    print(f"the median ratio is {median(ratios):.2f}; at least {WANTED} is wanted")
    return 0 if median(ratios) >= WANTED else 1


def rate(model: Path, source: Path, out: Path, num_images: int, *where: str) -> tuple[float, float]:
    """Images a second from the first results on, and the seconds of the whole run."""
    started = time.monotonic()
    done = run(model, source, out, "--workers", 2, *where)
    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    written = sorted(path.stat().st_mtime for path in out.glob("*.parquet"))
    return num_images * (len(written) - 1) / (written[-1] - written[0]), seconds


if __name__ == "__main__":
    sys.exit(main())
