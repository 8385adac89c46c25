"""A model of places that has learnt from normals learns from a few labelled defects too.

Its networks stay as they are. What the labels teach is a further kind of evidence (`networks.labelled_defects`).
Normals decide as before (law 5): some that trained are what defects are told from; others of these, and the *select*
normals, set the limit of the evidence; *select* sets the statistics of the terms; the *calibrate* normals give the
ranks, and do nothing else. How many labelled defects are found is told by cross-validation: each is judged by what
those of other parts have taught.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.bundle import Contents, DataRecord
from anomaly.calibration import Calibration, is_above
from anomaly.config.places import LABELLED, REFERENCE
from anomaly.data import NormalSplit, Pixels, PixelsOfImages
from anomaly.data.regions.counted_places import counted_places
from anomaly.errors import TrainingError
from anomaly.networks import PlaceNetworks
from anomaly.networks.labelled_defects import WEIGHT, LabelledDefects
from anomaly.networks.place_statistics import strength
from anomaly.process_state import owning_process_state
from anomaly.torch_settings import own_settings, threads
from anomaly.training.curves import OnProgress
from anomaly.training.learn import PlaceObserverOf, contents_of
from anomaly.training.places import Extract, PlacesTrained
from anomaly.training.places.examples import Look, evidence_of
from anomaly.training.places.labelled import SeenPlaces, learn_labelled, score_of, set_limits
from anomaly.training.spacing import evenly_spaced

MOST_TEACHING, MOST_LIMITING = 384, 192
"""Normal pictures that defects are told from, and further ones of *train* that set the limit, at most."""
_PLACES_EACH = 128
FOLDS = 5
"""Of the cross-validation, at most."""


@dataclass(frozen=True)
class LabelledDefect:
    """A picture of a defect: pixels (c, h, w), and what share of each place is marked (h/8, w/8), None without a mask.

    Sides are multiples of what the networks need, as after `preprocess`. `kind` is the kind of the defect, "" if there
    is none. `part` is the part that the picture shows, "" where that is not known: then it is one of its own.
    """

    pixels: Pixels
    marked: NDArray[np.float32] | None
    kind: str = ""
    part: str = ""


@dataclass(frozen=True)
class Refined:
    """What the new version holds; and how many of the labelled defects are found at `alpha`, before and after.

    After: each is judged by what those of other parts have taught, in `num_folds` rounds. Both are None where there are
    too few normals for a threshold, `num_after` too where all that taught show one part. `taught` are the rows of the
    defects that taught, which show `num_parts`. Of the others nothing that is marked is seen by the model: it lies
    outside of its region, or is cropped.
    """

    contents: Contents
    alpha: float
    num_before: int | None
    num_after: int | None
    taught: tuple[int, ...]
    num_parts: int
    num_folds: int


@owning_process_state()
@own_settings()
def refine_places(
    pixels: PixelsOfImages,
    split: NormalSplit,
    contents: Contents,
    networks: PlaceNetworks,
    defects: Sequence[LabelledDefect],
    record: DataRecord,
    *,
    alpha: float,
    extract: Extract,
    observer: PlaceObserverOf,
    device: torch.device,
    on_progress: OnProgress = lambda stage, done, total: None,
) -> Refined:
    """Teach the networks of `contents`, which get the new kind of evidence, some labelled defects, at least one.

    `split` has the normals that are at hand, by the sets that they were in; `record` is that of the new version, but
    for the defects that taught, which are counted here. What had been taught before is forgotten.
    `on_progress(stage, done, total)` is told each stage in plain words, and each picture.

    Raises:
        TrainingError: nothing that is marked is seen by the model.
    """
    recipe, seed = contents.manifest.recipe, contents.manifest.recipe.training.seed
    networks.labelled = None
    features = recipe.features.model_copy(update={"labelled": True})
    recipe = recipe.model_copy(update={"features": features})
    teaching = _some(split.train[::2], MOST_TEACHING)
    limiting = split.select + _some(split.train[1::2], MOST_LIMITING)
    see = Looks(networks, extract, contents.weights.get(REFERENCE), has_region=recipe.preprocess.region is not None)

    def seen(stage: str, rows: Sequence[int]) -> Iterator[SeenPlaces]:
        for done, row in enumerate(rows):
            on_progress(stage, done, len(rows))
            yield see(pixels[row])

    with threads(1):
        rng = np.random.default_rng(seed)
        normal = torch.cat([drawn_places(each.q, rng) for each in seen("Looking at normals", teaching)])
        examples = [see(each.pixels, each.marked).for_teaching() for each in defects]
        taught = tuple(row for row, example in enumerate(examples) if len(example.q))
        if not taught:
            raise TrainingError(
                "no labelled defect is seen by this model: all lie outside of its region, or are cropped. Label "
                "defects that lie inside, or train a model that sees more of the picture"
            )
        defects, examples = [defects[row] for row in taught], [examples[row] for row in taught]
        shown = _parts(defects)
        record = record.model_copy(update={"labelled": dict(Counter(each.kind for each in defects))})
        on_progress("Learning the labelled defects", 0, None)
        folds = _folds(shown)
        left_in = [[each for number, each in enumerate(examples) if number not in fold] for fold in folds]
        of_all, *of_folds = (learn_labelled(normal, each, seed) for each in (examples, *left_in))
        set_limits([of_all, *of_folds], seen("Measuring normals", limiting))
        judge = _Judge(of_folds, alpha, seen("Judging calibration normals", split.calibrate))
        fold_of = {row: number for number, fold in enumerate(folds) for row in fold}
        before, after = [], []
        for row, seen_again in enumerate(see(each.pixels) for each in defects):
            before.append(judge.is_found_before(seen_again))
            if folds:
                after.append(judge.is_found_after(fold_of[row], seen_again))
    networks.labelled = of_all
    on_progress("Calibrating", 0, None)
    trained = PlacesTrained(networks, features, [], contents.manifest.num_steps)
    new = contents_of(
        pixels, split, recipe, record, trained, observer(networks, device, extract), least_std={LABELLED: WEIGHT}
    )
    manifest = contents.manifest.model_copy(
        update={
            "recipe": recipe,
            "terms": new.manifest.terms,
            "data": record,
            "libraries": new.manifest.libraries,
            "created": new.manifest.created,
            "detectability": None,  # which was measured with other networks
        }
    )
    return Refined(
        replace(new, manifest=manifest, normals=contents.normals, history=contents.history),
        alpha,
        num_before=sum(before) if judge.has_threshold else None,
        num_after=sum(after) if judge.has_threshold and folds else None,
        taught=taught,
        num_parts=len(set(shown)),
        num_folds=len(folds),
    )


class Looks:
    """Looks at pictures as the networks of places do, without labels."""

    def __init__(
        self, networks: PlaceNetworks, extract: Extract, reference: NDArray[np.generic] | None, *, has_region: bool
    ) -> None:
        self._networks = networks
        self._look = Look(extract, None if reference is None else reference.astype(np.float32))
        self._has_region = has_region

    @torch.no_grad()
    def __call__(self, image: Pixels, marked: NDArray[np.float32] | None = None) -> SeenPlaces:
        """The places of an image (c, h, w) that count; `marked` is the share of each that a mask marks (h/8, w/8)."""
        networks, example = self._networks, self._look(image).seen_by(self._networks.memory)
        evidence = networks.statistics(evidence_of(networks, example)[None], example.where)
        strengths = strength(evidence, by_half=networks.is_by_half).flatten()
        q = networks.axes(example.maps)[0].flatten(1).T
        found = SeenPlaces(q, strengths, None if marked is None else torch.from_numpy(marked).flatten())
        return found.where(torch.from_numpy(counted_places(image)).flatten()) if self._has_region else found


def drawn_places(q: Tensor, rng: np.random.Generator) -> Tensor:
    """Some of a normal picture's places (n, dimensions), which defects are told from."""
    return q[torch.from_numpy(rng.choice(len(q), min(_PLACES_EACH, len(q)), replace=False))]


class _Judge:
    """Whether labelled defects are found: without the labels, and by what other labels have taught."""

    def __init__(self, learnt: Sequence[LabelledDefects], alpha: float, normals: Iterable[SeenPlaces]) -> None:
        self._learnt = learnt
        scores = [[_without_labels(seen), *(score_of(each, seen) for each in learnt)] for seen in normals]
        self._thresholds = [Calibration.fit(each).threshold(alpha) for each in np.array(scores).T]

    @property
    def has_threshold(self) -> bool:
        """Whether there are enough normals for one."""
        return self._thresholds[0] is not None

    def is_found_before(self, seen: SeenPlaces) -> bool:
        """Without labels."""
        return self._is_above(0, _without_labels(seen))

    def is_found_after(self, number: int, seen: SeenPlaces) -> bool:
        """By what this one has learnt."""
        return self._is_above(number + 1, score_of(self._learnt[number], seen))

    def _is_above(self, number: int, score: float) -> bool:
        threshold = self._thresholds[number]
        return threshold is not None and bool(is_above(score, threshold))


def _without_labels(seen: SeenPlaces) -> float:
    return float(seen.strength.max())


def _some(rows: Sequence[int], most: int) -> list[int]:
    return [rows[place] for place in evenly_spaced(len(rows), most)] if rows else []


def _parts(defects: Sequence[LabelledDefect]) -> list[int]:
    """The number of the part that each shows, from 0 in the order of the defects."""
    names = [each.part or row for row, each in enumerate(defects)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]


def _folds(parts: Sequence[int]) -> list[list[int]]:
    """The rows of each fold of a cross-validation, which has all rows of its parts; none where there is one part."""
    num = min(len(set(parts)), FOLDS)
    return [[row for row, part in enumerate(parts) if part % num == fold] for fold in range(num)] if num > 1 else []
