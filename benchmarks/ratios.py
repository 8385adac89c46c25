"""How fast this checkout is beside one of before: the same programs in turn, in one run on one machine.

    git worktree add ../before 66b0e31
    python -m benchmarks.ratios --before ../before [--times 5] [--overload]

Each checkout serves and scores with its own code, the shipped model at 28 × 28 pixels and a bundle of 256 × 256 that
the old one has trained. Ratios are this checkout's images a second to the other's, of medians over the turns; above 1
this one is faster.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
ROWS = {"Detector.score": r"Detector\.score, in this process +([\d,.]+)", "service": r"the service +([\d,.]+)"}
GOODPUT = r"([\d.]+) of (?:the )?capacity"
_TRAIN = (
    "import sys; from pathlib import Path; from benchmarks.drawings import train_on_textures; "
    "train_on_textures(Path(sys.argv[1]), 256)"
)


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the project as it was")
    parser.add_argument("--times", type=int, default=5, help="turns of each")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load in each turn")
    parser.add_argument("--overload", action="store_true", help="goodput under overload too: a minute each turn")
    options = parser.parse_args()
    checkouts = {"before": options.before.resolve(), "after": ROOT}
    with tempfile.TemporaryDirectory() as temporary:
        textures = Path(temporary) / "models"
        _run(checkouts["before"], "-c", _TRAIN, str(textures))
        for side, models in ((28, checkouts["before"] / "models"), (256, textures)):
            command = ("-m", "benchmarks.throughput", "--side", str(side), "--seconds", str(options.seconds))
            found: dict[str, dict[str, list[float]]] = {name: {} for name in checkouts}
            for _ in range(options.times):
                for name, checkout in checkouts.items():
                    said = _run(checkout, *command, "--models", str(models))
                    for row, pattern in ROWS.items():
                        found[name].setdefault(row, []).append(_number(pattern, said))
            for row in ROWS:
                _tell(f"{row}, {side} × {side}", found["before"][row], found["after"][row])
    if options.overload:
        goodput: dict[str, list[float]] = {name: [] for name in checkouts}
        for _ in range(max(1, options.times // 2)):
            for name, checkout in checkouts.items():
                goodput[name].append(_number(GOODPUT, _run(checkout, "-m", "benchmarks.overload")))
        _tell("goodput under overload", goodput["before"], goodput["after"])


def _run(checkout: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode and not done.stdout:  # a benchmark that misses its aim has said its figures
        raise SystemExit(f"{checkout}: {' '.join(arguments)}\n{done.stderr}")
    return done.stdout


def _number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise SystemExit(f"no {pattern!r} in\n{said}")
    return float(found[1].replace(",", ""))


def _tell(what: str, before: list[float], after: list[float]) -> None:
    ratio = median(after) / median(before)
    print(f"{what:28} before {median(before):9,.2f}  after {median(after):9,.2f}  ratio {ratio:.3f}", flush=True)


if __name__ == "__main__":
    main()
