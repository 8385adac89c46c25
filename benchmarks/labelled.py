"""What a few labelled defects gain: models of real parts, refined by 1, 5 and 10 pictures of one kind of defect.

    python -m benchmarks.labelled --data DATA_DIR [--models out/parts] [--sets bottle,tiles-apart] [--labels 1,5,10]

The models are those that `python -m benchmarks.parts --only parts` has trained into `--models` (seed 0). For each kind
of defect some test pictures of it are drawn as labelled defects, several times by fixed seeds. They teach by what
`anomaly refine` calls (`training.refine`, `training.places.labelled`). All test pictures but those labelled are judged,
before and after: the other pictures of that kind, and all of other kinds. With masks and without. Nothing here chooses
anything.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from anomaly.bundle import NormalSet, load
from anomaly.config import PreprocessConfig
from anomaly.config.places import REFERENCE
from anomaly.data import Limits, Sample, image_keys, open_dataset, read_all
from anomaly.errors import ImageError
from anomaly.inference.phi_features import phi_features
from anomaly.inference.torch_places import StoredPlaces
from anomaly.networks.labelled_defects import LabelledDefects
from anomaly.pipeline.refine import marked_places
from anomaly.training.places.labelled import SeenPlaces, learn_labelled, score_of, set_limits
from anomaly.training.refine import Looks, drawn_places
from benchmarks.part_sets import SETS, prepare_set

_FEWEST_LEFT = 5  # pictures of a kind that are not labelled


def main() -> None:
    """Print a row for each set, number of labels and way of labelling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ANOMALY_DATA"), help="folder of all data sets")
    parser.add_argument("--models", type=Path, default=Path("out/parts"), help="data sets and bundles")
    parser.add_argument("--sets", default="tiles-apart,elpv,transistor,bottle", help="comma-separated")
    parser.add_argument("--labels", default="1,5,10", help="pictures of one kind, comma-separated")
    parser.add_argument("--draws", type=int, default=3)
    args = parser.parse_args()
    if args.data is None or (unknown := {*args.sets.split(",")} - {*SETS}):
        parser.error(
            "give --data, the folder of the data sets" if args.data is None else f"no set {', '.join(unknown)}"
        )
    torch.set_num_threads(1)
    print("| set | labelled | masks | that kind | other kinds | by kind |")
    print("|---|---|---|---|---|---|")
    for name in args.sets.split(","):
        prepared = prepare_set(name, args.data.resolve(), args.models.resolve())
        pictures = Pictures(args.models / f"{name}-parts-0" / "model", prepared.data)
        for num in map(int, args.labels.split(",")):
            for masks in (True, False):
                row = _row(pictures, num, args.draws, masks=masks)
                print(f"| {SETS[name].title} | {num} | {'yes' if masks else 'no'} | {row} |", flush=True)


class Pictures:
    """All pictures of a set as a model sees them without labels."""

    def __init__(self, model: Path, data: str) -> None:
        bundle, dataset = load(model), open_dataset(data)
        contents, self.recipe = bundle.contents, bundle.manifest.recipe
        preprocess = self.recipe.preprocess
        networks = StoredPlaces(contents, str(model)).networks()
        phi = networks.phi_maps
        extract = phi_features(
            preprocess.channels, preprocess.side, with_points=phi.with_points, with_half=phi.with_half
        )
        self._look = Looks(networks, extract, contents.weights.get(REFERENCE), has_region=False)
        set_of = dict(zip(contents.normals.keys.tolist(), contents.normals.sets.tolist(), strict=True))
        self.of_set: dict[NormalSet, list[SeenPlaces]] = {each: [] for each in NormalSet}
        for _, pixels in self._read(dataset.train_normals()):
            of = NormalSet(set_of.get(int(image_keys(pixels[None])[0]), NormalSet.UNKNOWN))
            self.of_set[of].append(self._look(pixels))
        self.normals = [self._look(pixels) for sample, pixels in self._read(dataset.test()) if sample.label == "normal"]
        self.defects: dict[str, list[SeenPlaces]] = {}
        for sample, pixels in self._read(dataset.test()):
            if sample.label == "anomalous":
                kind = sample.kind or Path(sample.path).parents[1].name  # manifests of tiles leave it to the folders
                self.defects.setdefault(kind, []).append(self._look(pixels, _marked(sample, preprocess)))

    def _read(self, samples: Sequence[Sample]) -> Iterator[tuple[Sample, NDArray[np.uint8]]]:
        named = ((sample.path, sample.source) for sample in samples)
        for sample, read in zip(samples, read_all(named, self.recipe.preprocess, limits=Limits()), strict=True):
            if not isinstance(read, ImageError):
                yield sample, read.pixels


def _marked(sample: Sample, preprocess: PreprocessConfig) -> NDArray[np.float32] | None:
    """None where a mask is missing or cannot be used, as `anomaly refine` has it."""
    try:
        mask = sample.open_mask()
    except ImageError:
        return None
    return None if mask is None else marked_places(mask, preprocess)


def _row(pictures: Pictures, num: int, draws: int, *, masks: bool) -> str:
    """AUROC before → after, means over kinds and draws."""
    rng = np.random.default_rng(0)
    train = pictures.of_set[NormalSet.TRAIN]
    normal = torch.cat([drawn_places(each.q, rng) for each in train[::2]])
    limiting = [*pictures.of_set[NormalSet.SELECT], *train[1::2]]
    own: list[tuple[float, float]] = []
    others: list[tuple[float, float]] = []
    by_kind: dict[str, list[tuple[float, float]]] = {}
    for kind, defects in pictures.defects.items():
        if len(defects) < num + _FEWEST_LEFT:
            continue
        for draw in range(draws):
            chosen = set(np.random.default_rng((draw, num)).choice(len(defects), num, replace=False).tolist())
            labelled = [defects[place] for place in sorted(chosen)]
            taught = labelled if masks else [SeenPlaces(each.q, each.strength) for each in labelled]
            learnt = learn_labelled(normal, [each.for_teaching() for each in taught], draw)
            set_limits([learnt], limiting)
            auroc = partial(_aurocs, learnt, pictures.normals)
            own.append(auroc([each for place, each in enumerate(defects) if place not in chosen]))
            by_kind.setdefault(kind, []).append(own[-1])
            rest = [each for other, all_of in pictures.defects.items() if other != kind for each in all_of]
            if rest:
                others.append(auroc(rest))
    told = ", ".join(f"{kind} {_mean(pairs)}" for kind, pairs in by_kind.items())
    return f"{_mean(own)} | {_mean(others)} | {told}"


def _aurocs(
    learnt: LabelledDefects, normals: Sequence[SeenPlaces], defects: Sequence[SeenPlaces]
) -> tuple[float, float]:
    labels = [0] * len(normals) + [1] * len(defects)
    both = [*normals, *defects]
    before = roc_auc_score(labels, [float(each.strength.max()) for each in both])
    return float(before), float(roc_auc_score(labels, [score_of(learnt, each) for each in both]))


def _mean(pairs: Sequence[tuple[float, float]]) -> str:
    if not pairs:
        return "–"
    before, after = 100 * np.mean(pairs, axis=0)
    return f"{before:.1f} → {after:.1f}"


if __name__ == "__main__":
    main()
