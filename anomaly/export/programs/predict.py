"""Scores images with the model in this folder, and prints one row of JSON an image. README.md explains both."""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -I` would not find what lies beside this file
from model import load_about, load_model, path_of, run  # type: ignore[import-not-found]

from anomaly.data.files.listing import places_in
from anomaly.data.reader import Picture, read_all
from anomaly.defaults import ALPHA
from anomaly.shares import AS_SHARE, read_share
from anomaly.sizes import size_warning


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alpha", default=ALPHA, help="the false-alarm rate, between 0 and 1 (%(default)s)")
    parser.add_argument("inputs", nargs="+", type=path_of, metavar="IMAGE_OR_FOLDER")
    given = parser.parse_args()
    try:
        alpha = read_share(given.alpha)
    except ValueError as error:
        parser.error(f"argument --alpha: {error}")
    if not 0 < alpha < 1:
        parser.error(f"alpha is the false-alarm rate and lies between 0 and 1: {AS_SHARE}; got {alpha}")
    try:
        about, model, failed = load_about(), load_model(), 0
    except Exception as error:  # the runtimes' errors have no common base but this
        parser.error(f"the model cannot be loaded. Copy the whole folder again. {error}")
    paths = [path for named in given.inputs for path in places_in(named)]
    fields = ("score", "p_value", "is_anomalous", "threshold", "terms", "warning", "remarks", "error")
    for path, picture in zip(paths, read_all(((str(path), path) for path in paths), about.preprocess), strict=True):
        row: dict[str, Any] = dict.fromkeys(fields)
        if isinstance(picture, Picture):
            score, p_value, threshold, is_anomalous, terms, _ = model(picture.pixels[None], alpha)
            named = zip(about.terms, terms[0].tolist(), strict=True)
            row |= {"score": score.item(), "p_value": p_value.item(), "terms": dict(named)}
            if not math.isnan(threshold):  # as it is where alpha has too few calibration images
                row |= {"threshold": threshold.item(), "is_anomalous": is_anomalous.item()}
            row["remarks"], size = sorted(picture.remarks), (picture.height, picture.width)
            row["warning"] = size_warning(size, about.calibration_sizes, about.preprocess)
        else:
            row["error"], failed = str(picture), 1
        sys.stdout.write(json.dumps({"path": str(path), **row}) + "\n")
        sys.stdout.flush()  # who reads the rows gets each at once
    return failed


if __name__ == "__main__":
    run(_main)
