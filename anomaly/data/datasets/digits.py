"""The built-in data set `digits`: scikit-learn's 1,797 handwritten digits, 8 × 8 grey."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from anomaly.data.datasets.samples import Dataset, Label, Sample, Split, check_normal

_MAX_VALUE = 16  # they come as 0 … 16
_TEST_EVERY = 5


def open_digits(normal: Sequence[str]) -> Dataset:
    """All of them, in their own order; the fifth, tenth … of each class are the test split (20 %).

    Raises:
        DataError: `normal` is empty or not among the ten digits.
    """
    from sklearn.datasets import load_digits  # here, because it takes a second to import

    images, labels = load_digits(return_X_y=True)
    pixels = np.rint(images.reshape(-1, 8, 8) * (255 / _MAX_VALUE)).astype(np.uint8)
    check_normal(normal, [str(digit) for digit in range(10)], "digits")
    num_seen: Counter[str] = Counter()
    samples: list[Sample] = []
    for index, kind in enumerate(map(str, labels)):
        num_seen[kind] += 1
        split: Split = "train" if num_seen[kind] % _TEST_EVERY else "test"
        label: Label = "normal" if kind in normal else "anomalous"
        samples.append(Sample(f"digits/{split}/{index:05d}", split, label, kind, pixels[index]))
    return Dataset("digits", "digits", tuple(samples))
