"""`anomaly inspect`: what a model has learnt, for the eye: samples, a walk among latents, reconstructions, curves."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.bundle import Bundle
from anomaly.config import Prior
from anomaly.data import Dataset, PixelStore, Sample, image_keys, open_dataset
from anomaly.errors import DataError, UsageError
from anomaly.evaluation import LIGHT, Sheet, Text, curves_png, heat_tiles, to_pixels, to_tiles, write_folder
from anomaly.inference import Detector, load_detector
from anomaly.networks import draw, interpolate
from anomaly.runtime import seeded_rng

SAMPLE_ROWS, SAMPLE_COLUMNS = 10, 10
NUM_WALKS, WALK_STEPS = 6, 11
NUM_RECONSTRUCTIONS = 12
_SEED = "inspect"
_PRIORS = {Prior.GAUSSIAN: "z ~ N(0, I)", Prior.UNIFORM: "z ~ U[-1, 1]"}
_COLOURS = {"normal": LIGHT.normal, "anomalous": LIGHT.anomalous}


@dataclass(frozen=True)
class InspectSummary:
    """The pictures written, and the images of DATA that could not be read."""

    paths: tuple[Path, ...]
    num_failed: int


@dataclass(frozen=True)
class _Shown:
    """Images to reconstruct (n, c, size, size), a word about each or none, and where they are from."""

    pixels: NDArray[np.uint8]
    words: list[Text]
    origin: str
    breaks: tuple[int, ...] = ()
    num_failed: int = 0


def inspect_bundle(
    model: Path,
    data: str | None,
    out: Path,
    *,
    normal: Sequence[str] = (),
    device: str = "auto",
    on_reading: Callable[[int], None] = lambda total: None,
    on_image: Callable[[], None] = lambda: None,
) -> InspectSummary:
    """Write `samples.png`, `walk.png`, `reconstructions.png` and `curves.png` to the folder `out`.

    What is reconstructed is drawn by a fixed seed from the labelled test images of `data`, half of them anomalous; from
    its normal images where it has no such test images; without `data` it is the bundle's golden images.

    Raises:
        DataError: the data cannot be used.  BundleError: the bundle cannot be used.
        UsageError: `normal` is given without `data`, or `out` cannot be written.
    """
    if data is None and normal:
        raise UsageError(f"--normal {','.join(normal)} names classes of DATA, but no DATA is given; give both")
    detector = load_detector(model, device=device)
    shown = (
        _goldens(detector) if data is None else _read(detector, open_dataset(data, normal=normal), on_reading, on_image)
    )
    bundle = detector.bundle
    pictures = {
        "samples.png": samples_sheet(detector).png(),
        "walk.png": walk_sheet(detector).png(),
        "reconstructions.png": _reconstructions_sheet(detector, shown).png(),
        "curves.png": curves_png(_history(bundle), has_optimum=not bundle.manifest.recipe.training.loss.has_critic),
    }
    write_folder(pictures, out)
    return InspectSummary(tuple(out / name for name in pictures), shown.num_failed)


def sample_latents(detector: Detector) -> torch.Tensor:
    """The z of `samples.png`, (rows · columns, latent_dim); the same for all bundles of this prior and latent_dim."""
    network = detector.bundle.manifest.recipe.network
    return draw(network.prior, (SAMPLE_ROWS * SAMPLE_COLUMNS, network.latent_dim), seeded_rng(_SEED, "samples"))


def walk_latents(detector: Detector) -> torch.Tensor:
    """The z of `walk.png`, (walks, steps, latent_dim): from one draw of the prior to another in each row."""
    network = detector.bundle.manifest.recipe.network
    start, end = draw(network.prior, (2, NUM_WALKS, network.latent_dim), seeded_rng(_SEED, "walk"))
    return interpolate(network.prior, start, end, WALK_STEPS)


def samples_sheet(detector: Detector) -> Sheet:
    """G(z) of latents drawn from the prior: none is chosen."""
    tiles = to_tiles(to_pixels(detector.generate(sample_latents(detector).numpy())))
    prior = _PRIORS[detector.bundle.manifest.recipe.network.prior]
    title = f"{_name(detector)}: samples G(z), {prior}"
    return Sheet(title, tiles.reshape(SAMPLE_ROWS, SAMPLE_COLUMNS, *tiles.shape[1:]))


def walk_sheet(detector: Detector) -> Sheet:
    """G of the way from one latent to another: where G has learnt the images rather than kept some, it never jumps.

    Source: Radford 2016 (DCGAN), §6.1, "Walking in the latent space".
    """
    z = walk_latents(detector)
    tiles = to_tiles(to_pixels(detector.generate(z.flatten(0, 1).numpy())))
    blank = [Text("")] * (WALK_STEPS - 2)
    return Sheet(
        f"{_name(detector)}: walks from G(z₀) to G(z₁)",
        tiles.reshape(NUM_WALKS, WALK_STEPS, *tiles.shape[1:]),
        above=[Text("z₀"), *blank, Text("z₁")],
    )


def _reconstructions_sheet(detector: Detector, shown: _Shown) -> Sheet:
    evidence = detector.evidence(shown.pixels)
    images = to_tiles(shown.pixels)
    explanation = detector.explain(shown.pixels, evidence.z_hat)
    heat = heat_tiles(images, explanation.heatmap)
    p_values = detector.calibration.p_values(evidence.score)
    seen = detector.bundle.contents.normals.knows(image_keys(shown.pixels))
    return Sheet(
        f"{_name(detector)}: reconstructions of {shown.origin}",
        np.stack([images, to_tiles(to_pixels(explanation.x_hat)), heat]),
        left=[Text("image x"), Text("G(z_hat)"), Text("heatmap")],
        above=shown.words,
        below=[Text("known" if known else f"p = {p:.2g}") for p, known in zip(p_values, seen, strict=True)],
        breaks=shown.breaks,
    )


def _goldens(detector: Detector) -> _Shown:
    pixels = detector.bundle.contents.golden.pixels
    return _Shown(pixels, [], "its golden images")


def _read(
    detector: Detector, dataset: Dataset, on_reading: Callable[[int], None], on_image: Callable[[], None]
) -> _Shown:
    samples = _choose(dataset)
    on_reading(len(samples))
    with tempfile.TemporaryDirectory() as folder:
        store = PixelStore.build(samples, detector.preprocess, Path(folder) / "shown.u8", on_image=on_image)
        pixels = np.array(store.pixels)
    by_path = {sample.path: sample for sample in samples}
    read = [by_path[path] for path in store.paths]
    num_normal = sum(sample.label != "anomalous" for sample in read)
    breaks = (num_normal,) if 0 < num_normal < len(read) else ()
    return _Shown(pixels, [_word(sample) for sample in read], Path(dataset.name).name, breaks, len(store.errors))


def _choose(dataset: Dataset) -> list[Sample]:
    """Half normal and half anomalous test images; normal ones only, where there are no such test images."""
    try:
        test = dataset.test()
    except DataError:
        return _draw(dataset.train_normals(), NUM_RECONSTRUCTIONS)
    groups = ([s for s in test if s.label == label] for label in ("normal", "anomalous"))
    return [sample for group in groups for sample in _draw(group, NUM_RECONSTRUCTIONS // 2)]


def _draw(samples: list[Sample], num: int) -> list[Sample]:
    rows = np.random.default_rng(0).permutation(len(samples))[:num]
    return [samples[row] for row in np.sort(rows)]


def _word(sample: Sample) -> Text:
    label = sample.label or "normal"
    kind = sample.kind or label
    return Text(kind if len(kind) <= 11 else kind[:10] + "…", _COLOURS[label])


def _history(bundle: Bundle) -> list[dict[str, float]]:
    """The training curves. Bundles of before V was kept have D's loss, which was -V of their games."""
    history = bundle.contents.history
    if any("value" in row for row in history):
        return history
    return [{**row, "value": -row["loss_d"]} if "loss_d" in row else row for row in history]


def _name(detector: Detector) -> str:
    return f"{detector.bundle.name}/{detector.bundle.version}"
