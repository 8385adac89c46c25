"""Law 5: disjoint sets of normals, by image and by part."""

from itertools import chain
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.calibration import Calibration
from anomaly.data import NormalSplit, distinct_rows, few_parts, one_of_each, split_distinct, split_normals
from anomaly.errors import DataError

SEEDS = st.integers(0, 2**31 - 1)
KEYS = st.integers(0, 2**64 - 1)


@st.composite
def pictures_of_parts(draw: st.DrawFn) -> list[tuple[int, int]]:
    """(key, part) of different pictures of 20 to 40 parts, at least one of each."""
    num_parts = draw(st.integers(20, 40))
    parts = [*range(num_parts), *draw(st.lists(st.integers(0, num_parts - 1), max_size=60))]
    keys = draw(st.lists(KEYS, min_size=len(parts), max_size=len(parts), unique=True))
    return list(zip(keys, parts, strict=True))


def lists_of(split: NormalSplit) -> tuple[list[int], ...]:
    return split.train, split.select, split.calibrate, split.report, split.unused


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


@given(st.integers(20, 3000), SEEDS)
def test_a_report_is_taken_from_what_would_train(n: int, seed: int) -> None:
    without, split = split_normals(n, seed=seed), split_normals(n, seed=seed, with_report=True)
    assert (split.select, split.calibrate) == (without.select, without.calibrate)
    assert sorted([*split.train, *split.report]) == without.train
    assert without.report == split.unused == []


@pytest.mark.parametrize(
    ("n", "num_train", "num_report"),
    [
        (20, 10, 2),
        (23, 12, 3),
        (40, 20, 4),
        (60, 30, 6),
        (100, 50, 10),
        (396, 208, 39),
        (1000, 740, 60),
        (6000, 4740, 60),
    ],
)
def test_sizes_with_a_report(n: int, num_train: int, num_report: int) -> None:
    split = split_normals(n, seed=0, with_report=True)
    assert (len(split.train), len(split.report)) == (num_train, num_report)


@given(pictures_of_parts(), SEEDS, st.booleans())
def test_a_part_is_in_one_set(pictures: list[tuple[int, int]], seed: int, with_report: bool) -> None:
    keys, groups = np.array([key for key, _ in pictures], np.uint64), [str(part) for _, part in pictures]
    split = split_distinct(keys, seed=seed, groups=groups, with_report=with_report)
    assert sorted(chain(*lists_of(split))) == list(range(len(keys)))
    parts = [{groups[row] for row in rows} for rows in lists_of(split)[:4]]
    assert len(set().union(*parts)) == sum(map(len, parts))
    assert {groups[row] for row in split.unused} <= parts[2] | parts[3]
    numbers = list(zip(split.select_parts, (groups[row] for row in split.select), strict=True))
    assert len(set(numbers)) == len({number for number, _ in numbers}) == len({part for _, part in numbers})
    of_parts = split_normals(len(set(groups)), seed=seed, with_report=with_report)
    assert [len(part) for part in parts] == [len(rows) for rows in lists_of(of_parts)[:4]]
    for counted in (split.calibrate, split.report):
        assert len(counted) == len({groups[row] for row in counted})
        for row in counted:
            assert keys[row] == min(keys[other] for other, name in enumerate(groups) if name == groups[row])


@given(pictures_of_parts(), st.randoms(use_true_random=False), SEEDS)
def test_with_parts_the_order_of_the_images_does_not_matter(
    pictures: list[tuple[int, int]], random: Random, seed: int
) -> None:
    """Nor does it where there are copies: those in several parts count for the first by name."""
    pictures = [*pictures, *((key, part + 1) for key, part in pictures[::7]), *pictures[::5]]
    shuffled = random.sample(pictures, len(pictures))
    drawn = []
    for order in (pictures, shuffled):
        keys, groups = np.array([key for key, _ in order], np.uint64), [f"{part:02d}" for _, part in order]
        split = split_distinct(keys, seed=seed, groups=groups, with_report=True)
        drawn.append([sorted((int(keys[row]), groups[row]) for row in rows) for rows in lists_of(split)])
        assert split.num_distinct == len({key for key, _ in order})
    assert drawn[0] == drawn[1]


def test_few_parts_are_drawn_as_far_as_there_are_some_for_each_set() -> None:
    keys = np.arange(60, dtype=np.uint64)
    split = split_distinct(keys, seed=0, groups=[str(row % 4) for row in range(60)], with_report=True)
    assert [len(rows) for rows in lists_of(split)] == [30, 15, 1, 0, 14]
    with pytest.raises(DataError, match=r"the 60 normal images are of 3 parts; expected at least 20"):
        split_distinct(keys, seed=0, groups=[str(row % 3) for row in range(60)])
    with pytest.raises(DataError, match=r"there are 19 normal images; expected at least 20"):
        split_distinct(keys[:19], seed=0, groups=[str(row) for row in range(19)])


@pytest.mark.parametrize("with_report", [False, True])
@pytest.mark.parametrize("sizes", [(17, 1, 1, 1), (24, 1, 1, 1, 1, 1, 1), (9, 8, 3, 1), (10, 10, 1, 1)])
def test_never_does_a_single_picture_select(sizes: tuple[int, ...], with_report: bool) -> None:
    groups = [f"{part:02d}" for part, size in enumerate(sizes) for _ in range(size)]
    keys = np.arange(len(groups), dtype=np.uint64)
    num_moved = 0
    for seed in range(30):
        split = split_distinct(keys, seed=seed, groups=groups, with_report=with_report)
        parts = [{groups[row] for row in rows} for rows in lists_of(split)]
        assert len(split.select) >= 2
        assert parts[0]
        assert sorted(chain(*lists_of(split))) == list(range(len(groups)))
        assert len(set().union(*parts[:4])) == sum(map(len, parts[:4]))
        if len(parts[1]) == 2:  # the part that was drawn, and the smallest of those that would train
            num_moved += 1
            assert min(sizes[int(part)] for part in parts[1]) == 1
            assert max(sizes[int(part)] for part in parts[1]) <= min(sizes[int(part)] for part in parts[0])
    assert 0 < num_moved < 30


def test_few_parts_are_warned_of() -> None:
    assert few_parts(20) is None
    assert "there are 19 parts; expected at least 20, because ranks count parts" in (few_parts(19) or "")


def test_one_picture_of_each_part_is_that_of_the_smallest_key() -> None:
    keys = np.array([5, 3, 9, 1, 4], np.uint64)
    assert one_of_each(keys, ["a", "a", "b", "c", "b"]).tolist() == [1, 3, 4]


def test_ranks_of_parts_hold_for_new_parts_and_ranks_of_pictures_do_not() -> None:
    """200 simulated sets of 80 parts in six pictures each; a model scores pictures of parts that it knows lower."""
    rng = np.random.default_rng(0)
    groups = [str(row // 6) for row in range(480)]
    num_flagged = {"parts": 0, "pictures": 0}
    for seed in range(200):
        keys, of_part = rng.integers(0, 2**63, 480, np.uint64), rng.normal(size=81)
        for how, named in (("parts", groups), ("pictures", None)):
            split = split_distinct(keys, seed=seed, groups=named)
            known = {groups[row] for row in split.train}
            own = [of_part[int(groups[row])] - 3 * (groups[row] in known) for row in split.calibrate]
            num_flagged[how] += Calibration.fit(np.array(own)).p_values(of_part[80:])[0] <= 0.1
    assert num_flagged["parts"] <= 200 * 0.1 + 3 * np.sqrt(200 * 0.1 * 0.9)
    assert num_flagged["pictures"] > 2 * num_flagged["parts"]
