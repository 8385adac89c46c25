"""`anomaly inspect`: pictures of what a model has learnt, and of how small a defect it finds."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np

from anomaly.bundle import Bundle, Manifest, check_outside_versions
from anomaly.bundle.detectability import why_not_measured
from anomaly.data import Dataset, Limits, PixelsOfImages, PixelStore, Sample, open_dataset
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.defaults import ALPHA
from anomaly.errors import DataError, UsageError
from anomaly.inference import Detector, EngineName, load_detector
from anomaly.inference.torch_engine import TorchEngine
from anomaly.locks import writing_folder
from anomaly.report import require_report

NUM_RECONSTRUCTIONS = 12
_NO_GENERATOR = "this model draws no images, so there are no samples, no walk and no reconstructions"


@dataclass(frozen=True)
class InspectSummary:
    """The pictures written, why images of DATA could not be read, and sentences on what the pictures show or lack."""

    paths: tuple[Path, ...]
    failures: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def num_failed(self) -> int:
        """Files that could not be read."""
        return len(self.failures)


@dataclass(frozen=True)
class _Shown:
    """Images to reconstruct, their samples or none, and where they are from."""

    pixels: PixelsOfImages
    samples: Sequence[Sample]
    origin: str
    failures: tuple[str, ...] = ()


def inspect_bundle(
    model: str | Path,
    data: str | None,
    out: str | Path,
    *,
    normal: Sequence[str] = (),
    device: str = "auto",
    max_pixels: int = DEFAULT_LIMITS.max_pixels,
    on_reading: Callable[[int], None] = lambda total: None,
    on_image: Callable[[], None] = lambda: None,
) -> InspectSummary:
    """Write `samples.png`, `walk.png`, `reconstructions.png` and `curves.png` to the folder `out`.

    And `detectability.png`, where it was measured how small a defect is found. For a model without G `heatmaps.png`
    takes the place of the first three.

    What is reconstructed is drawn by a fixed seed from the labelled test images of `data`, half of them anomalous, of
    as many kinds as there is room for; from its normal images where it has no such test images; without `data` it is
    the bundle's golden images.

    Raises:
        DataError: the data cannot be used.  BundleError: the bundle cannot be used.
        UsageError: `normal` is given without `data`, `out` lies in a version of a model, or the extra `report` is
            missing.
        InUseError: another process writes into `out`.  StorageError: `out` cannot be written, or the pixels cannot.
    """
    out = Path(out)
    if data is None and normal:
        raise UsageError(f"--normal {','.join(normal)} names classes of DATA, but no DATA is given; give both")
    check_outside_versions(out)
    require_report("drawing what a model has learnt")
    from anomaly.report.curves import curves_png
    from anomaly.report.detectability import detectability_png
    from anomaly.report.fonts import why_codes
    from anomaly.report.inspection import reconstructions_sheet, samples_sheet, walk_sheet
    from anomaly.report.report import write_folder

    with writing_folder(out, "the pictures"):
        detector = load_detector(model, device=device, engine=EngineName.TORCH)
        shown = (
            _goldens(detector)
            if data is None
            else _read(detector, open_dataset(data, normal=normal), Limits.for_pixels(max_pixels), on_reading, on_image)
        )
        bundle = detector.bundle
        pictures: dict[str, bytes] = {}
        engine = detector.engine
        if isinstance(engine, TorchEngine):
            pictures["samples.png"] = samples_sheet(detector, engine.generate).png()
            pictures["walk.png"] = walk_sheet(detector, engine.generate).png()
        name = "reconstructions.png" if bundle.manifest.recipe.has_generator else "heatmaps.png"
        pictures[name] = reconstructions_sheet(detector, shown.pixels, shown.samples, shown.origin).png()
        if history := _history(bundle):
            has_optimum = not bundle.manifest.recipe.training.loss.has_critic
            pictures["curves.png"] = curves_png(history, has_optimum=has_optimum)
        if bundle.manifest.detectability is not None:
            pictures["detectability.png"] = detectability_png(bundle.manifest.detectability)
        write_folder(pictures, out)
    names = [bundle.name, shown.origin, *(sample.kind or "" for sample in shown.samples)]
    remarks = [*_remarks(bundle.manifest), why_codes(names)]
    return InspectSummary(tuple(out / name for name in pictures), shown.failures, tuple(filter(None, remarks)))


def _remarks(manifest: Manifest) -> Iterator[str]:
    if not manifest.recipe.has_generator:
        yield _NO_GENERATOR
    if manifest.detectability is not None:
        yield from manifest.detectability.sentences()
    elif why := why_not_measured(manifest.data.num_report, manifest.data.num_calibrate, ALPHA):
        yield why


def _goldens(detector: Detector) -> _Shown:
    return _Shown(detector.bundle.contents.golden.pixels, [], "its golden images")


def _read(
    detector: Detector,
    dataset: Dataset,
    limits: Limits,
    on_reading: Callable[[int], None],
    on_image: Callable[[], None],
) -> _Shown:
    samples = _choose(dataset)
    on_reading(len(samples))
    with tempfile.TemporaryDirectory() as folder:
        store = PixelStore.build(
            samples, detector.preprocess, Path(folder) / "shown.u8", limits=limits, on_image=on_image
        )
        # copies: the store's file goes away
        pixels = np.array(store.pixels) if isinstance(store.pixels, np.ndarray) else [*map(np.array, store.pixels)]
    return _Shown(pixels, store.samples, Path(dataset.name).name, tuple(reason for _, reason in store.errors))


def _choose(dataset: Dataset) -> list[Sample]:
    """Half normal and half anomalous test images; normal ones only, where there are no such test images."""
    try:
        test = dataset.test()
    except DataError:
        return _draw(dataset.train_normals(), NUM_RECONSTRUCTIONS)
    groups = ([s for s in test if s.label == label] for label in ("normal", "anomalous"))
    return [sample for group in groups for sample in _draw(group, NUM_RECONSTRUCTIONS // 2)]


def _draw(samples: list[Sample], num: int) -> list[Sample]:
    """One of each kind, then a second of each, until there are `num`; in the order of the samples."""
    rows = np.random.default_rng(0).permutation(len(samples)).tolist()
    nums: Counter[str | None] = Counter()
    turns = []
    for row in rows:
        nums[samples[row].kind] += 1
        turns.append(nums[samples[row].kind])
    chosen = [row for _, row in sorted(zip(turns, rows, strict=True), key=itemgetter(0))[:num]]
    return [samples[row] for row in sorted(chosen)]


def _history(bundle: Bundle) -> list[dict[str, float]]:
    """The training curves. Bundles of before V was kept have D's loss, which was -V of their games."""
    history = bundle.contents.history
    if any("value" in row for row in history) or not bundle.manifest.recipe.has_generator:
        return history
    return [{**row, "value": -row["loss_d"]} if "loss_d" in row else row for row in history]
