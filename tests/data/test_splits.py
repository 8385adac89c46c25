"""Law 5: three disjoint sets of normals."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.data import distinct_rows, split_distinct, split_normals
from anomaly.errors import DataError

SEEDS = st.integers(0, 2**31 - 1)


@given(st.integers(20, 3000), SEEDS)
def test_the_sets_are_sorted_and_disjoint_and_cover_everything(n: int, seed: int) -> None:
    split = split_normals(n, seed=seed)
    parts = (split.train, split.select, split.calibrate)
    assert all(part == sorted(part) for part in parts)
    assert sorted(chain(*parts)) == list(range(n))


@given(st.integers(20, 3000), SEEDS)
def test_the_same_seed_draws_the_same(n: int, seed: int) -> None:
    assert split_normals(n, seed=seed) == split_normals(n, seed=seed)


@pytest.mark.parametrize(
    ("n", "sizes"),
    [
        (20, (12, 3, 5)),
        (100, (60, 15, 25)),
        (396, (247, 50, 99)),
        (500, (351, 50, 99)),
        (6000, (4800, 600, 600)),
    ],
)
def test_sizes(n: int, sizes: tuple[int, int, int]) -> None:
    split = split_normals(n, seed=0)
    assert (len(split.train), len(split.select), len(split.calibrate)) == sizes


def test_seeds_draw_differently_and_from_everywhere() -> None:
    drawn = {tuple(split_normals(200, seed=seed).calibrate) for seed in range(20)}
    assert len(drawn) == 20
    assert set().union(*drawn) > set(range(0, 200, 10))


def test_indices_are_plain_integers() -> None:
    assert {type(index) for index in split_normals(20, seed=0).train} == {int}


def test_too_few_images() -> None:
    with pytest.raises(DataError, match=r"there are 19 normal images; expected at least 20.*add normal images"):
        split_normals(19, seed=0)


def test_the_rows_that_are_no_copies_of_earlier_ones() -> None:
    assert distinct_rows(np.array([7, 3, 7, 9, 3, 1], np.uint64)).tolist() == [0, 1, 3, 5]
    assert distinct_rows(np.zeros(0, np.uint64)).tolist() == []


@given(st.permutations(range(60)), SEEDS)
def test_without_copies_the_sets_are_those_of_always(keys: list[int], seed: int) -> None:
    assert split_distinct(np.array(keys, np.uint64), seed=seed) == split_normals(60, seed=seed)


@given(st.lists(st.integers(0, 40), min_size=21).filter(lambda keys: len(set(keys)) >= 20), SEEDS)
def test_each_distinct_image_is_in_one_set_and_once(values: list[int], seed: int) -> None:
    keys = np.array(values, np.uint64)
    split = split_distinct(keys, seed=seed)
    rows = [*split.train, *split.select, *split.calibrate]
    assert sorted(keys[rows].tolist()) == sorted(set(values))
    assert all(values.index(values[row]) == row for row in rows)
    assert {type(row) for row in rows} == {int}


def test_too_few_distinct_images() -> None:
    with pytest.raises(DataError, match=r"of 100 normal images 19 are distinct, the others are exact copies"):
        split_distinct(np.arange(100, dtype=np.uint64) % 19, seed=0)
    with pytest.raises(DataError, match=r"there are 3 normal images; expected at least 20"):
        split_distinct(np.arange(3, dtype=np.uint64), seed=0)
