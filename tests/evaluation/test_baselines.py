import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.neighbors import NearestNeighbors

from anomaly.errors import DataError
from anomaly.evaluation import baselines
from anomaly.evaluation.baselines import knn_scores, pca_scores


def random_images(seed: int, n: int, channels: int = 1, side: int = 4) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, channels, side, side), dtype=np.uint8)


def unit_vectors(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return images.reshape(len(images), -1) / 255


def test_pca_scores_are_the_error_of_a_projection() -> None:
    train, test = random_images(0, 30), random_images(1, 7)
    mean = unit_vectors(train).mean(axis=0)
    _, _, components = np.linalg.svd(unit_vectors(train) - mean, full_matrices=False)
    centred = unit_vectors(test) - mean
    error = centred - centred @ components[:3].T @ components[:3]
    assert (error**2).mean(axis=1) == pytest.approx(pca_scores(train, test, num_components=3), rel=1e-3)


def test_knn_scores_are_mean_distances() -> None:
    train, test = random_images(0, 12, channels=3), random_images(1, 5, channels=3)
    distances = np.linalg.norm(unit_vectors(test)[:, None] - unit_vectors(train)[None], axis=2)
    assert np.sort(distances)[:, :3].mean(axis=1) == pytest.approx(knn_scores(train, test), rel=1e-4)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = random_images(0, 20), random_images(1, 11)
    expected = pca_scores(train, test, num_components=3), knn_scores(train, test)
    monkeypatch.setattr(baselines, "MAX_BLOCK_VALUES", 3 * 16)
    actual = pca_scores(train, test, num_components=3), knn_scores(train, test)
    assert [len(scores) for scores in actual] == [11, 11]
    np.testing.assert_allclose(expected, actual, rtol=1e-4)


def test_few_training_images_span_few_components() -> None:
    train = random_images(0, 5)
    assert pca_scores(train, train) == pytest.approx(np.zeros(5), abs=1e-9)
    assert pca_scores(train, random_images(1, 3)).min() > 1e-3


def test_neighbours_are_no_more_than_images() -> None:
    train = random_images(0, 2)
    assert knn_scores(train, train[:1], k=5) == pytest.approx(
        [np.linalg.norm(np.subtract(*unit_vectors(train))) / 2], rel=1e-4
    )


def test_normals_that_are_all_alike_are_no_trouble() -> None:
    train = np.full((4, 1, 4, 4), 51, dtype=np.uint8)
    test = np.stack([train[0], train[0] + 51])
    same, brighter = pca_scores(train, test)
    assert same == pytest.approx(0, abs=1e-9)
    assert brighter > 0.01


def test_too_few_normals_are_refused() -> None:
    with pytest.raises(DataError, match="at least 2"):
        pca_scores(random_images(0, 1), random_images(1, 2))
    with pytest.raises(DataError, match="at least 1"):
        knn_scores(random_images(0, 0), random_images(1, 2))


@pytest.mark.parametrize(("side", "most"), [(8, 256), (128, 85), (256, 32)])
def test_buffers_of_large_images_have_few_rows(monkeypatch: pytest.MonkeyPatch, side: int, most: int) -> None:
    """Each thread's buffers have so many images as float64; the scores are the same."""
    train, test = random_images(0, 40, channels=3, side=side), random_images(1, 5, channels=3, side=side)
    distances = np.linalg.norm(unit_vectors(test)[:, None] - unit_vectors(train)[None], axis=2)
    rows: list[int] = []
    search = NearestNeighbors.kneighbors

    def watched(neighbors: object, x: NDArray[np.float32]) -> object:
        rows.append(get_config()["pairwise_dist_chunk_size"])
        return search(neighbors, x)

    monkeypatch.setattr(NearestNeighbors, "kneighbors", watched)
    assert np.sort(distances)[:, :3].mean(axis=1) == pytest.approx(knn_scores(train, test), rel=1e-4)
    assert rows == [most]
    assert get_config()["pairwise_dist_chunk_size"] == 256
