"""`anomaly evaluate`: a model on labelled images it has never seen, beside the plain baselines on the same split."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.calibration import check_alpha
from anomaly.config.region import region_note
from anomaly.data import (
    Dataset,
    Limits,
    PixelStore,
    Sample,
    describe,
    image_keys,
    open_dataset,
    take,
)
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.defaults import ALPHA
from anomaly.errors import DataError, UsageError
from anomaly.evaluation import (
    Baselines,
    EvaluatedModel,
    Evaluation,
    ScoredSplit,
    choose_examples,
    metrics_of,
    summarise,
    verdict_lines,
)
from anomaly.inference import Detector, load_detector
from anomaly.locks import writing_folder
from anomaly.pipeline.baselines import BaselineImages, measure_baselines
from anomaly.pipeline.copies import contradictions, copies, copies_left_out
from anomaly.pipeline.new_parts import counted_normals, known_parts, parts_shown
from anomaly.pipeline.other_sizes import OtherSizes
from anomaly.pipeline.pixel_figures import pixel_figures
from anomaly.pipeline.reading import ReadingWatch
from anomaly.pipeline.scored import ChosenExamples, ScoredImages, score_images
from anomaly.report import require_report


@dataclass(frozen=True)
class EvaluationSummary:
    """What `metrics.json` says, and the verdict: sentences for people, the comparison with the baselines last.

    And how many images were left out because they made the model, the reasons why files could not be read, and why the
    masks of images could not be used. `remarks` are sentences on how files were read.
    """

    metrics: dict[str, object]
    verdict: list[str]
    num_seen: int
    failures: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    mask_failures: tuple[str, ...] = ()

    @property
    def num_failed(self) -> int:
        """Files that could not be read."""
        return len(self.failures)

    @property
    def num_masks_failed(self) -> int:
        """Images whose mask could not be used."""
        return len(self.mask_failures)

    def numbers(self) -> dict[str, float]:
        """The metrics that are one number each; those of a group as "GROUP NAME", such as "baselines pca"."""
        numbers: dict[str, float] = {}
        for name, value in self.metrics.items():
            group = value if isinstance(value, dict) else {"": value}
            numbers |= {f"{name} {key}".strip(): v for key, v in group.items() if isinstance(v, float | int)}
        return numbers


def evaluate_bundle(
    model: str | Path,
    data: str,
    out: str | Path,
    *,
    normal: Sequence[str] = (),
    groups: str = "",
    alpha: float = ALPHA,
    sample: int | None = None,
    device: str = "auto",
    engine: str = "auto",
    max_pixels: int = DEFAULT_LIMITS.max_pixels,
    watch: ReadingWatch = ReadingWatch(),
) -> EvaluationSummary:
    """Write `metrics.json`, `scores.csv`, `roc.png` and `report.html` to the folder `out`.

    Larger images than `max_pixels` count as unreadable. `sample`: only this many of the test images, drawn at random by
    a fixed seed, for models that are slow to score.
    Images that made the model (training, selection or calibration) are left out and counted: on them there is nothing
    to measure. Of exact copies with one label one counts, as in training: they are not drawn independently. `groups`
    says which part each image shows (see `open_dataset`): then false alarms are held against alpha on one picture of
    each part of which no image made the model, for pictures of one part are alike.

    Raises:
        DataError: the data cannot be used, its masks are inverted, or it has not both normal and anomalous images that
            the model has not seen.
        UsageError: `alpha` is no rate, `groups` cannot be used, the extra `report` is missing, or `out` has files
            of the same names that no evaluation has written.
        BundleError: the bundle cannot be used.
        InUseError: another process writes into `out`.  StorageError: `out` cannot be written, or the pixels cannot.
    """
    alpha, out = check_alpha(alpha), Path(out)
    require_report("an evaluation's report")
    from anomaly.report.report import REPORT_FILES, check_report_folder, write_report

    check_report_folder(out, REPORT_FILES)
    detector = load_detector(model, device=device, engine=engine)
    dataset = open_dataset(data, normal=normal, groups=groups)
    watch.on_data(describe(dataset))
    samples = _draw(dataset.test(), sample)
    train = dataset.known_normals()
    watch.on_reading(len(samples) + len(train))
    limits = Limits.for_pixels(max_pixels)
    build = partial(PixelStore.build, config=detector.preprocess, limits=limits, on_image=watch.on_image)
    with writing_folder(out, "the report"), tempfile.TemporaryDirectory() as folder:
        test_store = build(samples, path=Path(folder) / "test.u8", what="test image")
        keys = image_keys(test_store.pixels)
        seen = detector.bundle.contents.normals.knows(keys)
        is_copy = copies(test_store.samples, keys) & ~seen
        scored = _score(detector, test_store, ~(seen | is_copy), limits)
        baselines, stores = Baselines({}, 0), [test_store]
        if train:
            train_store = build(train, path=Path(folder) / "train.u8", what="normal image")
            stores.append(train_store)
            baselines = measure_baselines(
                detector.preprocess,
                BaselineImages(train, train_store.pixels),
                BaselineImages(scored.samples, scored.pixels),
                folder=Path(folder),
                limits=limits,
            )
        known = known_parts(dataset, stores, detector.bundle.contents, groups)
        evaluation = _evaluation(detector, dataset, scored, test_store, baselines, known.names, alpha, limits)
        summary = summarise(evaluation)
        write_report(evaluation, summary, out)
        return EvaluationSummary(
            metrics=metrics_of(evaluation, summary),
            verdict=verdict_lines(evaluation, summary),
            num_seen=int(seen.sum()),
            failures=tuple(reason for _, reason in test_store.errors),
            remarks=(
                *test_store.remarks,
                *copies_left_out(int(is_copy.sum())),
                *contradictions(test_store.samples, keys, seen),
                *_other_sizes(detector, test_store),
                *known.remarks,
            ),
            mask_failures=tuple(reason for _, reason in evaluation.pixel.failures) if evaluation.pixel else (),
        )


def _draw(samples: list[Sample], num: int | None) -> list[Sample]:
    if num is None or num >= len(samples):
        return samples
    if num < 1:
        raise UsageError(f"a sample has at least one image; got {num}")
    rows = np.random.default_rng(0).choice(len(samples), size=num, replace=False)
    drawn = [samples[row] for row in np.sort(rows)]
    if {sample.label for sample in drawn} != {sample.label for sample in samples}:
        raise UsageError(
            f"all images in the sample of {num} of the {len(samples):,} test images are {drawn[0].label}, and normal "
            "and anomalous ones are needed to evaluate; take a larger sample"
        )
    return drawn


def _score(detector: Detector, store: PixelStore, is_used: NDArray[np.bool_], limits: Limits) -> ScoredImages:
    kept = list(compress(store.samples, is_used))
    labels = np.array([sample.label == "anomalous" for sample in kept], dtype=bool)
    if not labels.any() or labels.all():
        raise DataError(
            f"of {len(is_used)} test images {int((~is_used).sum())} made this model or are copies, and of the others "
            f"{int((~labels).sum())} are normal and {int(labels.sum())} anomalous; both are needed to evaluate"
        )
    pixels = store.pixels if is_used.all() else take(store.pixels, is_used)  # a copy, of what may be larger than memory
    return score_images(detector, kept, pixels, labels, limits)


def _evaluation(
    detector: Detector,
    dataset: Dataset,
    scored: ScoredImages,
    store: PixelStore,
    baselines: Baselines,
    known: frozenset[str],
    alpha: float,
    limits: Limits,
) -> Evaluation:
    bundle, scores = detector.bundle, scored.evidence.score
    recipe = bundle.manifest.recipe
    pixel = None
    if scored.masks is not None:
        pixel = pixel_figures(scored.heatmaps, scored.samples, scored.masks, detector.preprocess)
    return Evaluation(
        title=f"{bundle.name} on {dataset.name}",
        data=dataset.name,
        model=EvaluatedModel(
            name=f"{bundle.name}/{bundle.version}",
            digest=bundle.digest,
            method=recipe.training.method,
            seed=recipe.training.seed,
            num_calibration=detector.calibration.num_calibration,
            outlying=detector.outlying,
            region=region_note(recipe.preprocess.region),
            detectability=bundle.manifest.detectability,
        ),
        images=ScoredSplit(
            paths=[sample.path for sample in scored.samples],
            labels=scored.labels,
            kinds=[sample.kind for sample in scored.samples],
            scores=scores,
            p_values=detector.calibration.p_values(scores),
            terms=dict(scored.evidence.terms),
            standardised=bundle.contents.statistics.standardise(scored.evidence.terms),
            counted=counted_normals(dataset, scored.samples, scored.pixels, known),
            parts=parts_shown(dataset, scored.samples),
        ),
        alpha=alpha,
        threshold=detector.calibration.threshold(alpha),
        baselines=baselines,
        pixel=pixel,
        examples=ChosenExamples(detector, scored, choose_examples(scores, scored.labels), limits),
        failures=list(store.errors),
    )


def _other_sizes(detector: Detector, store: PixelStore) -> list[str]:
    found = OtherSizes(detector)
    for path, size in zip(store.paths, store.sizes, strict=True):
        found.add(path, *size)
    return found.remarks()
