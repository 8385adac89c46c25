"""What a training of places looks at."""

import numpy as np
import pytest

from anomaly.config import FeaturesConfig, Place
from anomaly.data import NormalSplit
from anomaly.networks.aligned_memory import NUM_FINE
from anomaly.networks.places import NUM_FEATURES, PlaceNetworks
from anomaly.training.places.material import see


@pytest.mark.parametrize(
    ("parts", "halves"),
    [([7, 7, 3, 3, 3, 7, 3, 9], [1, 1, 0, 0, 0, 1, 0, 1]), ([], [0, 1, 0, 1, 0, 1, 0, 1])],
)
def test_no_part_is_in_both_halves_of_what_chooses(parts: list[int], halves: list[int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 3, 32, 32), np.uint8)
    split = NormalSplit(list(range(16)), list(range(16, 24)), [], select_parts=parts)
    config = FeaturesConfig(memory=16, places=Place.ANYWHERE)
    material = see(
        pixels,
        split,
        PlaceNetworks(config),
        [],
        config,
        0,
        extract=lambda image: np.full((NUM_FEATURES + NUM_FINE, 4, 4), image.sum(), np.float32),
        reference=None,
        on_progress=lambda *told: None,
        has_region=False,
    )
    assert material.chosen_by.halves == halves
