"""The sheets of `anomaly inspect`: what a model has learnt, for the eye."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.config import Prior
from anomaly.data import PixelsOfImages, Sample, image_keys, to_pixels
from anomaly.inference import Detector
from anomaly.networks import draw, interpolate
from anomaly.report.fonts import drawable
from anomaly.report.heat import Rgb
from anomaly.report.pictures import LONG, longer_side
from anomaly.report.plots import LIGHT
from anomaly.report.sheets import MIN_SIDE, Sheet, Text, centred, heat_tiles, to_tiles, whole
from anomaly.runtime import seeded_rng

SAMPLE_ROWS, SAMPLE_COLUMNS = 10, 10
NUM_WALKS, WALK_STEPS = 6, 11
LARGEST_TILE = 256  # of pictures that keep their shapes
Generate = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""G: latents (n, latent_dim) → images (n, c, size, size) in [-1, 1]."""

_SEED = "inspect"
_PRIORS = {Prior.GAUSSIAN: "z ~ N(0, I)", Prior.UNIFORM: "z ~ U[-1, 1]"}
_COLOURS = {"normal": LIGHT.normal, "anomalous": LIGHT.anomalous}


def sample_latents(detector: Detector) -> torch.Tensor:
    """The z of `samples.png`, (rows · columns, latent_dim); the same for all bundles of this prior and latent_dim."""
    network = detector.bundle.manifest.recipe.network
    return draw(network.prior, (SAMPLE_ROWS * SAMPLE_COLUMNS, network.latent_dim), seeded_rng(_SEED, "samples"))


def walk_latents(detector: Detector) -> torch.Tensor:
    """The z of `walk.png`, (walks, steps, latent_dim): from one draw of the prior to another in each row."""
    network = detector.bundle.manifest.recipe.network
    start, end = draw(network.prior, (2, NUM_WALKS, network.latent_dim), seeded_rng(_SEED, "walk"))
    return interpolate(network.prior, start, end, WALK_STEPS)


def samples_sheet(detector: Detector, generate: Generate) -> Sheet:
    """G(z) of latents drawn from the prior: none is chosen."""
    tiles = to_tiles(to_pixels(generate(sample_latents(detector).numpy())))
    prior = _PRIORS[detector.bundle.manifest.recipe.network.prior]
    title = f"{_name(detector)}: samples G(z), {prior}"
    return Sheet(title, tiles.reshape(SAMPLE_ROWS, SAMPLE_COLUMNS, *tiles.shape[1:]))


def walk_sheet(detector: Detector, generate: Generate) -> Sheet:
    """G of the way from one latent to another: where G has learnt the images rather than kept some, it never jumps.

    Source: Radford 2016 (DCGAN), §6.1, "Walking in the latent space".
    """
    z = walk_latents(detector)
    tiles = to_tiles(to_pixels(generate(z.flatten(0, 1).numpy())))
    blank = [Text("")] * (WALK_STEPS - 2)
    return Sheet(
        f"{_name(detector)}: walks from G(z₀) to G(z₁)",
        tiles.reshape(NUM_WALKS, WALK_STEPS, *tiles.shape[1:]),
        above=[Text("z₀"), *blank, Text("z₁")],
    )


def reconstructions_sheet(detector: Detector, pixels: PixelsOfImages, samples: Sequence[Sample], origin: str) -> Sheet:
    """Images, what G makes of them where there is one, their heatmaps and p-values.

    `samples` are theirs, the normal ones first, or none where nothing is known of them; `origin` is the word for all.
    Each image has a column. Of pictures that are more than LONG times as wide as high each has a row.
    """
    evidence, explanation = detector.examine(pixels)
    images = _of_one_size([to_tiles(image[None])[0] for image in pixels])
    shown = {"image x": images}
    if explanation.x_hat is not None:
        shown["G(z_hat)"] = list(to_tiles(to_pixels(explanation.x_hat)))
    shown["heatmap"] = heat_tiles(images, explanation.heatmap)
    p_values = detector.calibration.p_values(evidence.score)
    seen = detector.bundle.contents.normals.knows(image_keys(pixels))
    ranks = ["known" if known else f"p = {p:.2g}" for p, known in zip(p_values, seen, strict=True)]
    title = f"{_name(detector)}: {'heatmaps' if explanation.x_hat is None else 'reconstructions'} of {drawable(origin)}"
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    words, names = [_word(sample) for sample in samples], [Text(name) for name in shown]
    if width > LONG * height:
        known = words or [Text("")] * len(images)
        left = [Text(f"{word.text}  {rank}".strip(), word.colour) for word, rank in zip(known, ranks, strict=True)]
        columns = np.stack([centred(each, height, width) for each in shown.values()], axis=1)
        return Sheet(title, columns, left=left, above=names, legend=True)
    num_normal = sum(sample.label != "anomalous" for sample in samples)
    room = max(width, min(MIN_SIDE, height))  # for the words above and below a narrow picture
    return Sheet(
        title,
        np.stack([centred(each, height, room) for each in shown.values()]),
        left=names,
        above=words,
        below=[Text(rank) for rank in ranks],
        breaks=(num_normal,) if 0 < num_normal < len(samples) else (),
        legend=True,
    )


def _of_one_size(images: Sequence[Rgb]) -> list[Rgb]:
    """Squares of one size as they are, other shapes with one longer side, and long ones with a longer one."""
    if {image.shape[:2] for image in images} == {images[0].shape[:1] * 2}:
        return list(images)
    most = max(max(image.shape) for image in images)
    return [whole(image, min(most, longer_side(image.shape[0], image.shape[1], LARGEST_TILE))) for image in images]


def _word(sample: Sample) -> Text:
    label = sample.label or "normal"
    return Text(drawable(sample.kind or label), _COLOURS[label])


def _name(detector: Detector) -> str:
    return f"{drawable(detector.bundle.name)}/{detector.bundle.version}"
