"""Runs a command on at most two cores and writes what it took: seconds, and the memory of its largest process.

    python -S benchmarks/measured.py FIGURES.json SECONDS COMMAND …

A command that has not ended after that many seconds is killed, and the status is 124, as that of timeout(1).
A program of its own, and of the standard library alone, because Linux counts what the starting process holds as the
first memory of the one it starts: of a small program that is little (about 10 MB).
"""

import json
import os
import resource
import subprocess
import sys
import time

CORES = 2
ENDED_BY_US = 124


def main() -> int:
    """The command's own exit status is this program's."""
    figures, limit_s, *command = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    started = time.monotonic()
    try:
        status = subprocess.run(command, timeout=float(limit_s)).returncode
    except subprocess.TimeoutExpired:
        return ENDED_BY_US
    took_s = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KiB on Linux, bytes on macOS
    peak_mb = peak / (1e6 if sys.platform == "darwin" else 1e3 / 1.024)
    with open(figures, "w", encoding="utf-8") as file:  # noqa: PTH123 — pathlib takes time to import
        json.dump({"seconds": took_s, "peak_mb": peak_mb}, file)
    return status


if __name__ == "__main__":
    sys.exit(main())
