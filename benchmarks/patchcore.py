"""PatchCore's evidence on φ, without any training: how far each place of a picture is from the nearest of normals.

Places are vectors (n, rows, columns, 152): φ's maps at 1/8 and at 1/16, the latter scaled up; 3 × 3 means of each.
The bank is a greedy coreset of 1 % of the normals' places, chosen among vectors projected at random. A picture's score
is its farthest place, and its heatmap the distances, scaled up to the picture.

Source: Roth et al. 2022, sections 3.1 to 3.3. Left out are the weight of the image's score by the neighbours of the
nearest (their equation 7), and the blur of the map. So that it ends on two cores, the coreset is chosen among 100,000
places drawn at random where there are more, and has at most 8,000.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.distance import cdist
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from anomaly.config.places import STRIDE
from anomaly.data import Sample, to_image
from anomaly.networks.places import places_of
from anomaly.networks.pretrained import load_pretrained
from anomaly.training.places.statistics import place_statistics

SIDE = 256
SHARE = 0.01
MAX_CANDIDATES, MAX_BANK = 100_000, 8_000
_PROJECTED = 64  # dimensions that the coreset is chosen in (Johnson–Lindenstrauss; their section 3.2)
_BATCH = 8  # pictures
_BLOCK = 4096  # places whose distances are held at a time

Features = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Places = NDArray[np.float32]


@dataclass(frozen=True)
class PatchScores:
    """Of each picture: the score (n,), and the distances of its places (n, rows, columns)."""

    scores: NDArray[np.float64]
    maps: NDArray[np.float32]

    def heatmap(self, index: int, height: int, width: int) -> NDArray[np.float32]:
        """The distances over the picture."""
        scaled = Image.fromarray(self.maps[index]).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(scaled)


class PatchVectors(nn.Module):
    """x (b, 3, h, w) in [-1, 1] → vectors (b, h / 8, w / 8, 152)."""

    def __init__(self) -> None:
        super().__init__()
        self.phi = load_pretrained()

    def forward(self, x: Tensor) -> Tensor:
        """Means first, then the coarser map in the finer one's size."""
        maps = self.phi(x)
        fine, coarse = (avg_pool2d(maps[stride], 3, 1, 1, count_include_pad=False) for stride in (8, 16))
        coarse = interpolate(coarse, size=fine.shape[-2:], mode="bilinear")
        return torch.cat([fine, coarse], 1).permute(0, 2, 3, 1)


def load_features(size: tuple[int, int], cache: Path) -> Features:
    """φ's vectors of pictures of one size (height, width), by ONNX Runtime on one thread."""
    from onnxruntime import InferenceSession, SessionOptions

    from anomaly.inference.tracing import NUM_EXAMPLES, NUM_IMAGES, traced

    path = cache / f"phi-{size[0]}x{size[1]}.onnx"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        example = {"x": torch.zeros(NUM_EXAMPLES, 3, *size)}
        model = traced(PatchVectors().eval(), example, ["vectors"], free=NUM_IMAGES, fold_constants=True)
        path.write_bytes(model.SerializeToString())
    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: np.asarray(session.run(None, {"x": x})[0])


def patchcore_scores(
    normals: Sequence[Sample], test: Sequence[Sample], features: Features, size: tuple[int, int]
) -> PatchScores:
    """A bank of the normals, then the test pictures against it. All are stretched to `size`, in colour."""
    num_places = len(normals) * size[0] * size[1] // 64
    num = min(max(1, round(SHARE * num_places)), MAX_BANK)
    bank = coreset(_candidates(normals, features, size), num, seed=0)
    scores, maps = [], []
    for vectors in _vectors(test, features, size):
        distances = nearest(vectors.reshape(-1, vectors.shape[-1]), bank).reshape(vectors.shape[:3])
        maps.append(distances)
        scores.append(distances.max(axis=(1, 2)))
    return PatchScores(np.concatenate(scores).astype(np.float64), np.concatenate(maps))


def by_place_scores(
    normals: Sequence[Sample], test: Sequence[Sample], features: Features, size: tuple[int, int]
) -> PatchScores:
    """Each place against all normals at the same place alone, for parts that lie alike. The bank is whole.

    Not PatchCore's: its bank does not know places.
    """
    maps, _ = _by_place(normals, test, features, size)
    return PatchScores(maps.max(axis=(1, 2)).astype(np.float64), maps)


def measured_by_place_scores(
    normals: Sequence[Sample], test: Sequence[Sample], features: Features, size: tuple[int, int]
) -> PatchScores:
    """The same, in deviations from what normals show at each place, as `parts` measures its evidence.

    Each normal is compared with the others; where a manifest tells parts, with those of other parts.
    """
    maps, of_normals = _by_place(normals, test, features, size)
    statistics = place_statistics(list(torch.from_numpy(of_normals)[:, None]), "place")
    where = places_of(maps.shape[1], maps.shape[2], torch.tensor([0.0, float(size[0])]))
    measured = statistics(torch.from_numpy(maps)[:, None], where)[:, 0].numpy()
    return PatchScores(measured.max(axis=(1, 2)).astype(np.float64), measured)


def coreset(places: Places, num: int, *, seed: int) -> Places:
    """So many of them: each in turn is the farthest from those that were chosen before it."""
    rng = np.random.default_rng(seed)
    projection = rng.normal(size=(places.shape[1], min(_PROJECTED, places.shape[1]))).astype(np.float32)
    projected = places @ projection
    norms = np.einsum("nd,nd->n", projected, projected)
    chosen = [int(rng.integers(len(places)))]
    distance = np.full(len(places), np.inf, np.float32)
    while len(chosen) < min(num, len(places)):
        last = chosen[-1]
        np.minimum(distance, norms - 2 * (projected @ projected[last]) + norms[last], out=distance)
        distance[last] = -np.inf  # rounding could choose it again
        chosen.append(int(distance.argmax()))
    return places[chosen]


def nearest(places: Places, bank: Places) -> NDArray[np.float32]:
    """The Euclidean distance of each place to the nearest of the bank."""
    norms = np.einsum("nd,nd->n", bank, bank)
    squared = [
        np.einsum("nd,nd->n", part, part) + (norms - 2 * (part @ bank.T)).min(axis=1)
        for part in (places[start : start + _BLOCK] for start in range(0, len(places), _BLOCK))
    ]
    distances: NDArray[np.float32] = np.sqrt(np.concatenate(squared).clip(0))
    return distances


def _by_place(
    normals: Sequence[Sample], test: Sequence[Sample], features: Features, size: tuple[int, int]
) -> tuple[Places, Places]:
    """Distances to the nearest normal at the same place (pictures, rows, columns): of the test, and of the normals.

    A normal is compared with those that do not show its part; it is one by itself where no manifest tells it.
    """
    bank = np.concatenate(list(_vectors(normals, features, size)))
    vectors = np.concatenate(list(_vectors(test, features, size)))
    maps, of_normals = (np.empty(each.shape[:3], np.float32) for each in (vectors, bank))
    parts = np.array([sample.group or str(number) for number, sample in enumerate(normals)])
    is_own = parts[:, None] == parts[None]
    for row, column in np.ndindex(*maps.shape[1:]):
        own = bank[:, row, column]
        maps[:, row, column] = nearest(vectors[:, row, column], own)
        between = np.where(is_own, np.inf, cdist(own, own))
        of_normals[:, row, column] = between.min(axis=1)
    return maps, of_normals


def _candidates(normals: Sequence[Sample], features: Features, size: tuple[int, int]) -> Places:
    """All places, or as many of each picture as make the limit."""
    rng = np.random.default_rng(0)
    places = []
    for vectors in _vectors(normals, features, size):
        for each in vectors.reshape(len(vectors), -1, vectors.shape[-1]):
            num = min(len(each), MAX_CANDIDATES // len(normals))
            places.append(each[np.sort(rng.choice(len(each), num, replace=False))])
    return np.concatenate(places)


def _vectors(samples: Sequence[Sample], features: Features, size: tuple[int, int]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(samples), _BATCH):
        yield features(np.stack([_read(sample, size) for sample in samples[start : start + _BATCH]]))


def _read(sample: Sample, size: tuple[int, int]) -> NDArray[np.float32]:
    """(3, height, width) in [-1, 1]."""
    assert all(side % STRIDE == 0 for side in size)
    height, width = size
    picture = to_image(sample.open()).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.float32).transpose(2, 0, 1) / 127.5 - 1
