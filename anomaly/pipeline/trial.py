"""`anomaly recipes try`: which recipe finds defects best in normals like these, before a long training.

Each recipe learns briefly from some of the normals. Other normals, whole parts of them where parts are known, are
scored as they are and spoilt: by kinds of drawn defects that no recipe with pretrained features learns from, and by a
part of the picture at a wrong place, which nothing drawn betrays. No picture of a test split is read.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.config.region import OUTSIDE, inside_of
from anomaly.data import Dataset, Limits, Pixels, Sample, describe, open_dataset, open_readable, to_channels_last
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.errors import AnomalyError, DataError, UsageError
from anomaly.evaluation.intervals import Interval
from anomaly.evaluation.metrics import ImageMetrics, image_metrics, lead_over
from anomaly.extras import WITH_TORCH, require
from anomaly.files import make_paths
from anomaly.inference import Detector, load_detector
from anomaly.pipeline.contests import Trial, TrialFigures, TrialSummary
from anomaly.pipeline.region import with_region
from anomaly.pipeline.train import TrainOptions, train_on
from anomaly.recipes import Sections, Survey, candidates, read_recipe, survey
from anomaly.runtime import resolve_device
from anomaly.training.places.spoilt import CHOOSING_KINDS, moved_images, spoilt_images

MOST_LEARNT, MOST_JUDGED = 2000, 60  # images
FEWEST_JUDGED, FEWEST_LEARNT = 5, 20
JUDGED_PIXELS = 40_000_000  # of all of them, so that large pictures do not take long
HELD_OUT = 0.2
SPOILT_EACH = 2


@dataclass(frozen=True)
class TrialOptions:
    """The options of `anomaly recipes try`; `recipes` are names or files, by default what fits the images' size.

    `region` is a file as `anomaly train --region` takes it: every recipe gets it, and no defect is drawn outside.
    """

    data: str
    recipes: tuple[str, ...] = ()
    normal: tuple[str, ...] = ()
    groups: str = ""
    region: Path | None = None
    minutes: float = 2.0
    device: str = "auto"
    seed: int = 0
    max_pixels: int = DEFAULT_LIMITS.max_pixels

    def __post_init__(self) -> None:
        """Paths may be given as texts."""
        make_paths(self, "region")


def try_recipes(
    options: TrialOptions,
    on_data: Callable[[Sequence[str]], None] = lambda sentences: None,
    on_trial: Callable[[str], None] = lambda name: None,
) -> TrialSummary:
    """Train each recipe for at most `options.minutes`, and judge it; nothing is kept.

    Raises:
        DataError: the data cannot be used, or the normals are too few.
        UsageError: no such recipe, or fewer than two of them.
        DeviceError: no such device.
    """
    require("training", "torch", *WITH_TORCH)
    resolve_device(options.device)
    for name in options.recipes:
        read_recipe(name)
    dataset = open_dataset(options.data, normal=options.normal, groups=options.groups)
    on_data(describe(dataset, "recipes try"))
    limits = Limits.for_pixels(options.max_pixels)
    samples = dataset.train_normals()
    found = survey(samples, limits=limits)
    if found.beyond is not None:
        on_data([str(found.beyond)])
    names = options.recipes or candidates(found)
    if len(set(names)) < 2:
        raise UsageError(f"only {', '.join(names)} is to be tried; give at least two, such as parts,surfaces")
    overrides = with_region({"training": {"seed": options.seed}}, options.region, samples, limits)
    region = overrides.get("preprocess", {}).get("region")
    learnt, judged = _split(dataset, samples, options.seed)
    own_by_path = _pictures(judged, limits, found, region)
    if len(own_by_path) < FEWEST_JUDGED:
        raise DataError(
            f"{options.data}: {len(own_by_path)} of the normals held out can be read; at least {FEWEST_JUDGED}"
        )
    own, parts = list(own_by_path.values()), dataset.parts_of(list(own_by_path))
    shown = parts or list(own_by_path)
    images = _Images(own, *_spoilt(own, options.seed, has_region=region is not None))
    trials, scores = [], []
    for name in names:
        on_trial(name)
        trial, judged_by = _try(name, learnt, images, shown, options, overrides)
        trials.append(trial)
        scores.append(judged_by)
    num_parts = None if parts is None else len(set(parts))
    return TrialSummary(tuple(trials), len(learnt.samples), len(own), _leads(scores, shown), num_parts)


class _Images(NamedTuple):
    """What judges: normals, the same with drawn defects, and with a part of them at a wrong place."""

    own: list[Pixels]
    drawn: list[Pixels]
    moved: list[Pixels]


class _JudgedScores(NamedTuple):
    """Scores of pictures, and of the same in the same order, spoilt any number of times."""

    own: NDArray[np.float64]
    spoilt: NDArray[np.float64]

    @property
    def scores(self) -> NDArray[np.float64]:
        """All of them."""
        return np.concatenate(self)

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Which are spoilt."""
        return np.arange(len(self.own) + len(self.spoilt)) >= len(self.own)

    def parts(self, shown: list[str]) -> list[str]:
        """What each shows: a picture and the same spoilt are alike, and count as one.

        So do pictures that show the same: `shown` is the part of each of the first, or its path.
        """
        return [shown[row % len(self.own)] for row in range(len(self.own) + len(self.spoilt))]


def _try(
    name: str, learnt: Dataset, images: _Images, shown: list[str], options: TrialOptions, overrides: Sections
) -> tuple[Trial, _JudgedScores | None]:
    """A recipe that cannot be tried here is no reason to stop: the others can."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="anomaly-trial-") as folder:
        asked = TrainOptions(
            data=options.data,
            out=Path(folder) / "trial",
            recipe=name,
            overrides=overrides,
            normal=options.normal,
            groups=options.groups,
            max_minutes=options.minutes,
            device=options.device,
            max_pixels=options.max_pixels,
            measures=False,
        )
        try:
            summary = train_on(learnt, asked)
            train_s = time.monotonic() - started
            detector = load_detector(asked.out, device=options.device)
            started = time.monotonic()
            own, drawn, moved = (_scores(detector, each) for each in images)
            score_ms = 1000 * (time.monotonic() - started) / sum(map(len, images))
        except AnomalyError as error:
            return Trial(name, None, failure=str(error)), None
    judged = _JudgedScores(own, np.concatenate([drawn, moved]))
    told = _metrics(judged, shown)
    figures = TrialFigures(
        auroc=told.auroc,
        interval=told.auroc_ci95,
        drawn=_metrics(_JudgedScores(own, drawn), shown).auroc,
        moved=_metrics(_JudgedScores(own, moved), shown).auroc,
        train_s=train_s,
        score_ms=score_ms,
        is_cut_short=summary.bundle.manifest.is_cut_short,
    )
    return Trial(name, figures), judged


def _scores(detector: Detector, images: Sequence[Pixels]) -> NDArray[np.float64]:
    return detector.score([to_channels_last(image) for image in images]).score


def _metrics(judged: _JudgedScores, shown: list[str]) -> ImageMetrics:
    return image_metrics(judged.scores, judged.labels, parts=judged.parts(shown))


def _leads(tried: Sequence[_JudgedScores | None], shown: list[str]) -> dict[tuple[int, int], Interval]:
    """The interval of each later one's lead over each earlier, where both could be tried."""
    leads = {}
    for (earlier, first), (later, second) in combinations(enumerate(tried), 2):
        if first and second:
            leads[later, earlier] = lead_over(second.scores, first.scores, second.labels, second.parts(shown))
    return leads


def _split(dataset: Dataset, samples: Sequence[Sample], seed: int) -> tuple[Dataset, list[Sample]]:
    """A training split to learn from, and the normals to judge by, which show other parts.

    Of equal files one judges, and none of them is learnt from: what a recipe has learnt by heart would judge it.
    """
    rng = np.random.default_rng(seed)
    parts = np.array(dataset.parts_of([sample.path for sample in samples]) or [sample.path for sample in samples])
    order = rng.permutation(np.unique(parts))
    held_out = order[: max(round(HELD_OUT * len(order)), 1)]
    is_held_out = np.isin(parts, held_out)
    learnt, judged = (
        _drawn(samples, mask, most, rng)
        for mask, most in zip((~is_held_out, is_held_out), (MOST_LEARNT, MOST_JUDGED), strict=True)
    )
    by_content: dict[tuple[object, ...], Sample] = {}
    for sample in judged:
        by_content.setdefault(_content(sample), sample)
    judged = list(by_content.values())
    learnt = [sample for sample in learnt if _content(sample) not in by_content]
    if len(learnt) < FEWEST_LEARNT or len(judged) < FEWEST_JUDGED:
        raise DataError(
            f"{dataset.name}: recipes need at least {FEWEST_LEARNT} normal images to learn from and {FEWEST_JUDGED} "
            f"others to be judged by; there are {len(learnt)} and {len(judged)}. Give more: "
            f"{FEWEST_LEARNT + FEWEST_JUDGED} are enough where each image shows a part of its own"
        )
    return replace(dataset, samples=tuple(replace(sample, split="train") for sample in learnt)), judged


def _content(sample: Sample) -> tuple[object, ...]:
    """What equal files have in common; of one that cannot be read its path, and the others say why."""
    if sample.pixels is not None:
        return sample.pixels.shape, hashlib.sha256(sample.pixels.tobytes()).digest()
    try:
        return (hashlib.sha256(Path(sample.path).read_bytes()).digest(),)
    except OSError:
        return (sample.path,)


def _drawn(samples: Sequence[Sample], mask: NDArray[np.bool_], most: int, rng: np.random.Generator) -> list[Sample]:
    rows = np.flatnonzero(mask)
    return [samples[row] for row in np.sort(rng.permutation(rows)[:most])]


def _spoilt(own: list[Pixels], seed: int, *, has_region: bool) -> tuple[list[Pixels], list[Pixels]]:
    """With drawn defects, and with a part at a wrong place; SPOILT_EACH of both."""
    rows, drawn, moved = range(len(own)), [], []
    for turn in range(SPOILT_EACH):
        several = spoilt_images(own, rows, CHOOSING_KINDS, seed + turn, has_region=has_region)
        drawn += [image for image, _ in several]
        moved += [image for image, _ in moved_images(own, rows, seed + turn, has_region=has_region)]
    return drawn, moved


def _pictures(samples: Sequence[Sample], limits: Limits, found: Survey, region: str | None) -> dict[str, Pixels]:
    """By path, as they are on disk, (c, h, w), as many as JUDGED_PIXELS holds; what cannot be read is passed over.

    Outside of a region they are grey, as every detector that has it sees them.
    """
    channels = 3 if found.has_colour else 1
    pictures: dict[str, Pixels] = {}
    num_pixels = 0
    for sample, read in open_readable(samples, limits=limits, value_range=found.value_range):
        pixels = np.array(read)
        num_pixels += pixels.shape[0] * pixels.shape[1]
        if num_pixels > JUDGED_PIXELS and len(pictures) >= FEWEST_JUDGED:
            break
        planes = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels[None]
        picture = np.array(np.broadcast_to(planes, (max(channels, len(planes)), *planes.shape[1:])))
        if region is not None:
            picture[:, ~inside_of(region, *picture.shape[1:])] = OUTSIDE
        pictures[sample.path] = picture
    return pictures
