"""PatchCore's evidence: the coreset is greedy, distances are right, and φ by ONNX Runtime is φ."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.data import Sample
from benchmarks.patchcore import (
    PatchVectors,
    by_place_scores,
    coreset,
    load_features,
    measured_by_place_scores,
    nearest,
    patchcore_scores,
)


def samples(*pictures: NDArray[np.uint8]) -> list[Sample]:
    return [Sample(str(index), "test", None, kind="", pixels=each) for index, each in enumerate(pictures)]


def greys(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """A place's vector is its mean grey and a constant: 8 pixels a place."""
    n, _, height, width = x.shape
    means = x[:, 0].reshape(n, height // 8, 8, width // 8, 8).mean(axis=(2, 4))
    return np.stack([means, np.ones_like(means)], axis=-1)


def test_the_coreset_takes_the_farthest_each_time() -> None:
    rng = np.random.default_rng(0)
    middles = np.array([[0, 0], [100, 0], [0, 100], [100, 100]], np.float32)
    places = np.repeat(middles, 50, axis=0) + rng.normal(size=(200, 2)).astype(np.float32)
    chosen = coreset(places, 4, seed=0)
    assert len({tuple(np.round(each / 100)) for each in chosen}) == 4
    assert len(np.unique(coreset(places, 200, seed=0), axis=0)) == 200


def test_of_places_that_are_all_alike_no_more_are_taken_than_there_are() -> None:
    assert coreset(np.ones((3, 2), np.float32), 9, seed=0).shape == (3, 2)


def test_distances_are_those_to_the_nearest() -> None:
    rng = np.random.default_rng(0)
    places, bank = (rng.normal(size=(num, 5)).astype(np.float32) for num in (5000, 7))
    naive = np.linalg.norm(places[:, None] - bank[None], axis=-1).min(axis=1)
    np.testing.assert_allclose(nearest(places, bank), naive, atol=1e-3)


def test_the_strange_place_makes_score_and_map() -> None:
    rng = np.random.default_rng(0)
    normals = [rng.integers(90, 110, (32, 48), dtype=np.uint8) for _ in range(12)]
    odd = normals[0].copy()
    odd[8:16, 24:32] = 250
    found = patchcore_scores(samples(*normals), samples(normals[1], odd), greys, (32, 48))
    assert found.maps.shape == (2, 4, 6)
    assert found.scores[1] > 10 * found.scores[0]
    row, column = divmod(int(found.heatmap(1, 64, 96).argmax()), 96)
    assert 16 <= row < 32
    assert 48 <= column < 64


def test_by_place_a_normal_thing_elsewhere_is_strange() -> None:
    rng = np.random.default_rng(0)
    normals = [rng.integers(90, 110, (32, 48), dtype=np.uint8) for _ in range(12)]
    for each in normals:
        each[8:16, 8:16] = 250
    moved = np.roll(normals[0], 16, axis=1)
    free = patchcore_scores(samples(*normals), samples(normals[1], moved), greys, (32, 48))
    placed = by_place_scores(samples(*normals), samples(normals[1], moved), greys, (32, 48))
    assert placed.scores[0] < 1e-3
    assert placed.scores[1] > 1  # of greys in [-1, 1]
    assert free.scores[1] < 0.2
    assert placed.maps[1].argmax() in (7, 9)


def test_measured_by_place_what_normals_often_show_counts_less() -> None:
    rng = np.random.default_rng(0)
    normals = [np.full((256, 256), 120, np.uint8) + rng.integers(0, 3, (256, 256), dtype=np.uint8) for _ in range(40)]
    for each in normals:
        each[64:128, 64:128] = rng.integers(60, 200)
    of_loud, of_quiet = normals[0].copy(), normals[0].copy()
    of_loud[88:104, 88:104] = 250
    of_quiet[168:184, 168:184] = 150
    plain, measured = (
        score(samples(*normals), samples(of_loud, of_quiet), greys, (256, 256))
        for score in (by_place_scores, measured_by_place_scores)
    )
    assert plain.scores[0] > plain.scores[1]
    assert measured.scores[0] < measured.scores[1]
    assert measured.maps[1].argmax() // 32 in (21, 22)


def test_measured_by_place_a_normal_is_not_compared_with_its_own_part() -> None:
    """Else two pictures of one part are alike, and a new part is strange everywhere."""
    rng = np.random.default_rng(0)
    shades = rng.integers(60, 200, 21)
    pictures = [np.full((256, 256), shade, np.uint8) for shade in shades]
    alone = [sample for part in samples(*pictures[:-1]) for sample in (part, part)]
    told = [replace(sample, group=f"part-{number // 2}") for number, sample in enumerate(alone)]
    new = samples(pictures[-1])
    (unlike,) = measured_by_place_scores(alone, new, greys, (256, 256)).scores
    (alike,) = measured_by_place_scores(told, new, greys, (256, 256)).scores
    assert unlike > 20
    assert alike < 3


def test_what_the_runtime_computes_is_what_torch_does(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (3, 3, 32, 48)).astype(np.float32)
    vectors = load_features((32, 48), tmp_path)(x)
    with torch.no_grad():
        expected = PatchVectors().eval()(torch.from_numpy(x)).numpy()
    assert vectors.shape == (3, 4, 6, 152)
    np.testing.assert_allclose(vectors, expected, atol=1e-4 * np.abs(expected).max())
