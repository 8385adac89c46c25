"""Boards drawn by program: a picture follows from seed, number and kind, and its mask says where the defect is."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data import open_dataset
from benchmarks.boards import GOOD, HEIGHT, KINDS, LARGEST, WIDTH, draw_board, write_boards

HIDDEN = 5  # grey levels: below what makes a mask, and rounded


def test_the_same_seed_and_number_draw_the_same_picture() -> None:
    first, again = draw_board(3, 7)[0], draw_board(3, 7)[0]
    assert first.shape == (HEIGHT, WIDTH)
    assert first.tobytes() == again.tobytes()
    for seed, number in ((4, 7), (3, 8)):
        assert np.abs(first.astype(int) - draw_board(seed, number)[0]).mean() > 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", range(4))
def test_the_mask_is_where_the_picture_differs_from_the_normal_one(kind: str, number: int) -> None:
    (normal, nothing), (picture, mask) = draw_board(0, number), draw_board(0, number, kind)
    difference = np.abs(picture.astype(int) - normal)
    assert not nothing.any()
    assert difference[~mask].max() <= HIDDEN
    assert difference[mask].min() >= 2  # of at least 4, clipped and rounded twice
    rows, columns = np.nonzero(mask)
    assert 3 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= LARGEST + 3  # turned, and smoothed at its edges


def test_the_board_is_moved_and_the_light_is_uneven() -> None:
    pictures = np.stack([draw_board(0, number)[0] for number in range(6)]).astype(float)
    assert pictures.std(axis=0).max() > 40  # edges lie elsewhere in each
    flat = pictures[:, 300:420, 560:600].mean(axis=(1, 2))
    assert flat.std() > 1


def test_the_tree_is_an_mvtec_one_whose_masks_can_be_used(tmp_path: Path) -> None:
    write_boards(tmp_path, 2, 1, 1)
    dataset = open_dataset(str(tmp_path))
    counts = Counter((sample.split, sample.label) for sample in dataset.samples)
    assert counts == {("train", "normal"): 2, ("test", "normal"): 1, ("test", "anomalous"): len(KINDS)}
    masks = {sample.kind: sample.open_mask() for sample in dataset.test()}
    assert set(masks) == {GOOD, *KINDS}
    for kind, mask in masks.items():
        assert mask is not None
        assert mask.any() == (kind != GOOD)
    with Image.open(dataset.samples[0].path) as image:
        assert (image.size, image.mode) == ((WIDTH, HEIGHT), "L")
