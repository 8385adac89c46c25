"""Mosaics of cells: no cell in two sets, and a fault that its mask shows."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data import open_dataset, to_array
from benchmarks.mosaics import (
    COLUMNS,
    FAULTS,
    LARGEST,
    ROWS,
    SIDE,
    draw_mosaic,
    shared_cells,
    split_cells,
    write_mosaics,
)

NUM_CELLS = 24


def cells() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(60, 200, (SIDE, SIDE), dtype=np.uint8) // 8 * 8 for _ in range(5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mosaics of cells that are each of one grey, 3 levels apart; every other cell is not quite normal."""
    data, out = tmp_path_factory.mktemp("cells"), tmp_path_factory.mktemp("mosaics")
    (data / "images").mkdir()
    lines = ["image,defect_probability"]
    for number in range(2 * NUM_CELLS):
        Image.new("L", (SIDE, SIDE), 50 + 3 * number).save(data / "images" / f"{number:02d}.png")
        lines.append(f"images/{number:02d}.png,{0.0 if number % 2 == 0 else 1 / 3}")
    (data / "labels.csv").write_text("\n".join(lines))
    write_mosaics(data, out, (3, 2, 2, 1), seed=1)
    return out


def test_no_cell_is_in_two_sets() -> None:
    paths = [Path(f"{number}.png") for number in range(588)]
    drawn = split_cells(paths, seed=0)
    assert [len(each) for each in drawn] == [294, 147, 147]
    assert sorted(path for each in drawn for path in each) == sorted(paths)
    assert split_cells(paths, seed=0) == drawn != split_cells(paths, seed=1)


def test_pictures_of_two_sets_show_no_cell_in_common(folder: Path) -> None:
    dataset = open_dataset(str(folder / "tree"))
    shown = {
        "train": dataset.train_normals(),
        "test": [sample for sample in dataset.test() if sample.label == "normal"],
        "calibrate": open_dataset(str(folder / "calibrate")).train_normals(),
    }
    assert {name: len(samples) for name, samples in shown.items()} == {"train": 3, "test": 2, "calibrate": 2}
    greys = {name: {*np.unique([to_array(each.open()) for each in own])} for name, own in shown.items()}
    assert sum(len(each) for each in greys.values()) == len(set.union(*greys.values()))
    assert all((grey - 50) % 6 == 0 for each in greys.values() for grey in each)  # those of probability 0 alone


def test_every_fault_has_a_mask_of_its_size(folder: Path) -> None:
    found = [sample.open_mask() for sample in open_dataset(str(folder / "tree")).test() if sample.label == "anomalous"]
    assert len(found) == len(FAULTS)
    for mask in found:
        assert mask is not None
        assert mask.shape == (ROWS * SIDE, COLUMNS * SIDE) == (900, 1200)
        assert mask.any()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", range(8))
def test_the_mask_is_where_the_picture_differs_from_the_normal_one(fault: str, number: int) -> None:
    (normal, nothing), (picture, mask) = draw_mosaic(cells(), 0, number), draw_mosaic(cells(), 0, number, fault)
    difference = np.abs(picture.astype(int) - normal)
    assert not nothing.any()
    assert difference[~mask].max() <= 4
    assert difference[mask].min() >= 4
    rows, columns = np.nonzero(mask)
    assert 2 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= LARGEST + 2  # a fault's noise may hide its ends


def test_the_same_seed_and_number_draw_the_same_picture() -> None:
    first = draw_mosaic(cells(), 2, 5, "spot")[0].tobytes()
    assert first == draw_mosaic(cells(), 2, 5, "spot")[0].tobytes()
    assert first != draw_mosaic(cells(), 2, 6, "spot")[0].tobytes()


def test_shared_cells_raise_the_false_alarms_of_mosaics() -> None:
    mean, low, high = shared_cells()
    assert 0.06 < mean < 0.085  # a twelfth of the 147 cells: of as many cells one is above all others, in the mean
    assert low == 0.0
    assert 0.3 < high < 0.4
