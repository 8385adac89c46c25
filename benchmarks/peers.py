"""Our detector beside those of other libraries: same images, same machine, one run, each by its own commands.

    python -m benchmarks.peers --data DATA_DIR --cache FOLDER [--sets mnist-8,tiles] [--only ours,pca] [--minutes 10]
    python -m benchmarks.peers --write docs/peers.md

The first makes an environment for each peer in FOLDER, writes the images there as PNG files, trains what FOLDER has no
model of, and measures everything that is chosen. Its rows replace those of the same detector and images in
`results/peers.jsonl`: with `--only` some rows are measured again. To train again, delete `FOLDER/models`. DATA_DIR is
the folder of the data sets, or the environment variable ANOMALY_DATA. `--quick` tries all of it on few images, and
keeps its rows in FOLDER.

Every figure is of a fresh process on two cores. Training ends after `--minutes`, where a detector can be told so. Cold
commands and folders are scored in rounds, one detector after the other, so that a busy machine slows all of them; the
figures are medians.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from anomaly.evaluation.metrics import image_metrics
from benchmarks.measured import ENDED_BY_US
from benchmarks.peer_environments import (
    OURS,
    PEERS,
    TITLES,
    PeerError,
    evaluate_command,
    last_line,
    make_environment,
    score_command,
    train_command,
)
from benchmarks.peer_images import SETS, write_images
from benchmarks.peer_tables import to_page, to_tables
from benchmarks.rows import FOLDER, Row, machine, read_rows

RESULTS = FOLDER / "peers.jsonl"
COLD_ROUNDS, FOLDER_ROUNDS = 3, 3
QUICK_MINUTES = 0.1
LIMIT_MINUTES = 15  # of any command: what takes longer has no figures, and its row says so
_MEASURED = Path(__file__).with_name("measured.py")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is chosen, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ANOMALY_DATA"), help="folder of all data sets")
    parser.add_argument("--cache", type=Path, default=Path("out/peers"), help="environments, images, models")
    parser.add_argument("--sets", default=",".join(SETS), help="images, comma-separated")
    parser.add_argument("--only", default=",".join(TITLES), help=f"detectors, comma-separated: {', '.join(TITLES)}")
    parser.add_argument("--minutes", type=float, default=10, help="of each training, at most")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true", help="few images, short trainings, one round")
    parser.add_argument("--write", type=Path, help="make the page of all rows, and run nothing")
    args = parser.parse_args(arguments)
    if args.write:
        args.write.write_text(to_page(read_rows(args.results)), encoding="utf-8")
        return
    sets, names = args.sets.split(","), args.only.split(",")
    if unknown := sorted({*sets} - {*SETS} | {*names} - {*TITLES}):
        parser.error(f"there is no {', '.join(unknown)}; there are the images {list(SETS)}, detectors {list(TITLES)}")
    if args.data is None:
        parser.error("give --data, the folder of the data sets, or set ANOMALY_DATA")
    cache = args.cache.resolve()
    if args.quick:
        args.minutes, args.results = QUICK_MINUTES, cache / "quick.jsonl"
    for name in sets:
        images = write_images(name, args.data, cache, args.quick)
        for row in measure(name, images, names, cache, args):
            replace_row(args.results, row | {"machine": machine()})
    print(to_tables(read_rows(args.results)))


def measure(name: str, images: Path, detectors: Sequence[str], cache: Path, args: argparse.Namespace) -> list[Row]:
    """A row for each detector on these images; one that cannot be installed or run says why in `error`."""
    models = cache / "models" / images.name
    rows: dict[str, Row] = {each: {"set": name, "detector": each} for each in detectors}
    tries: list[tuple[str, Any]] = [("environment", lambda each: _environment(each, cache))]
    tries += [("training", lambda each: _train(name, each, images, models / each, args.minutes, cache))]
    cold = sorted((images / "test").rglob("*.png"))[0]
    rounds = (1, 1) if args.quick else (COLD_ROUNDS, FOLDER_ROUNDS)
    tries += [("one image", lambda each: _score(each, cold, models / each, cache, "first"))] * rounds[0]
    tries += [("folder", lambda each: _score(each, images / "test", models / each, cache, "folder"))] * rounds[1]
    tries += [("AUROC", lambda each: _accuracy(each, images, models / each))]
    for what, action in tries:
        for each, row in rows.items():
            if "error" in row:
                continue
            print(f"{name}, {each}: {what}", flush=True)
            try:
                figures = action(each)
            except PeerError as error:
                row["error"] = str(error)
                continue
            for key, value in figures.items():
                row[key] = [*row.get(key, []), *value] if isinstance(value, list) else value
    return [summarised(row, len(list((images / "test").rglob("*.png")))) for row in rows.values()]


def summarised(row: Row, num_images: int) -> Row:
    """The medians beside the rounds that they are of."""
    if "error" in row:
        return row
    figures = {"first_score_s": median(row["first_s"]), "images_per_s": num_images / median(row["folder_s"])}
    return row | figures | {"score_mb": max(row["folder_mb"]), "num_images": num_images}


def replace_row(path: Path, row: Row) -> None:
    """In the place of the row of the same detector and images, else at the end."""
    rows = {(each["set"], each["detector"]): each for each in read_rows(path)}
    rows[row["set"], row["detector"]] = row
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in rows.values()), encoding="utf-8")


def _environment(detector: str, cache: Path) -> Row:
    return {} if detector == OURS else make_environment(PEERS[detector].environment, cache)


def _train(name: str, detector: str, images: Path, model: Path, minutes: float, cache: Path) -> Row:
    """What an earlier run has trained keeps the figures of its training."""
    kept = model.with_name(f"{model.name}.json")
    if not kept.exists():
        shutil.rmtree(model, ignore_errors=True)
        command = train_command(detector, SETS[name], images, model, minutes, cache)
        figures = _run("training", command)
        row = {"train_s": figures["seconds"], "train_mb": figures["peak_mb"], "minutes": minutes}
        kept.write_text(json.dumps(row), encoding="utf-8")
    return dict(json.loads(kept.read_text("utf-8")))


def _score(detector: str, images: Path, model: Path, cache: Path, key: str) -> Row:
    out = model.with_name(f"{model.name}-{key}.csv")
    figures = _run("scoring", score_command(detector, model, images, out, cache))
    return {f"{key}_s": [figures["seconds"]], f"{key}_mb": [figures["peak_mb"]]}


def _accuracy(detector: str, images: Path, model: Path) -> Row:
    if detector == OURS:
        report = model.with_name(f"{model.name}-report")
        _run("evaluation", evaluate_command(model, images, report))
        metrics = json.loads((report / "metrics.json").read_text("utf-8"))
        return {"auroc": metrics["auroc"], "auroc_ci95": metrics["auroc_ci95"]}
    with model.with_name(f"{model.name}-folder.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    scores = np.array([float(row["score"]) for row in rows])
    labels = np.array([Path(row["path"]).parent.name != "good" for row in rows])
    if not np.isfinite(scores).all():
        raise PeerError(f"{(~np.isfinite(scores)).sum()} of its {len(scores)} scores are no numbers")
    measured = image_metrics(scores, labels)
    return {"auroc": measured.auroc, "auroc_ci95": list(measured.auroc_ci95)}


def _run(what: str, command: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        measured = [sys.executable, "-S", str(_MEASURED), str(figures), str(60 * LIMIT_MINUTES), *command]
        done = subprocess.run(measured, capture_output=True, text=True)
        if done.returncode == ENDED_BY_US:
            raise PeerError(f"its {what} took more than {LIMIT_MINUTES} minutes")
        if done.returncode:
            raise PeerError(f"its {what} ended with status {done.returncode}: {last_line(done.stderr)}")
        return dict(json.loads(figures.read_text("utf-8")))


if __name__ == "__main__":
    main()
