"""The plain baselines that a detector has to beat, on the same split and the same preprocessed pixels.

Images are uint8 (n, c, s, s); training images are normal. Both baselines hold four bytes for each byte of the training
pixels, once. Scores are float64 (n_test,), higher is more anomalous.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from anomaly.data import Pixels
from anomaly.errors import DataError

MAX_BLOCK_VALUES = 2**25  # float32 values of test images held at a time: 128 MiB
_BUFFER_VALUES = 2**22  # float64 values: of each thread's two buffers where neighbours are searched
_BUFFER_ROWS = (32, 256)  # images, the fewest and the most: scikit-learn takes 256, which is 400 MB for sides of 256


def pca_scores(train: Pixels, test: Pixels, *, num_components: int = 50) -> NDArray[np.float64]:
    """Mean squared error of x − x_hat, x_hat being x projected on the first principal components of the normals.

    There are at most as many components as features, and fewer than training images, which span no more dimensions
    around their mean. Raises DataError for fewer than two training images.
    """
    if len(train) < 2:
        raise DataError(f"The PCA baseline needs at least 2 normal training images, got {len(train)}.")
    x_train = _flatten(train)
    pca = PCA(min(num_components, len(train) - 1, x_train.shape[1]), random_state=0, copy=False)
    with np.errstate(invalid="ignore"):  # images that are all alike have no variance to explain: 0 / 0
        pca.fit(x_train)
    errors = [((x - pca.inverse_transform(pca.transform(x))) ** 2).mean(axis=1) for x in _blocks(test)]
    return np.concatenate(errors, dtype=np.float64)


def knn_scores(train: Pixels, test: Pixels, *, k: int = 3) -> NDArray[np.float64]:
    """Mean Euclidean distance to the k nearest normals, on raw pixels in [0, 1]; raises DataError without normals."""
    if not len(train):
        raise DataError("The nearest-neighbour baseline needs at least 1 normal training image, got 0.")
    neighbors = NearestNeighbors(n_neighbors=min(k, len(train)), algorithm="brute").fit(_flatten(train))
    num_rows = int(np.clip(_BUFFER_VALUES // train[0].size, *_BUFFER_ROWS))
    with config_context(pairwise_dist_chunk_size=num_rows):
        distances = [neighbors.kneighbors(x)[0].mean(axis=1) for x in _blocks(test)]
    return np.concatenate(distances, dtype=np.float64)


def _flatten(images: Pixels) -> NDArray[np.float32]:
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat /= np.float32(255)
    return flat


def _blocks(images: Pixels) -> Iterator[NDArray[np.float32]]:
    """Consecutive blocks of flattened images, each of bounded size."""
    block_size = max(1, MAX_BLOCK_VALUES // max(1, images[0].size))
    for start in range(0, len(images), block_size):
        yield _flatten(images[start : start + block_size])
