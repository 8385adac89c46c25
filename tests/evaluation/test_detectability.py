"""The measurement: shares, intervals, what it costs, and that it depends on the seed alone."""

import itertools
import time
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import norm

from anomaly.bundle import DetectabilityCell, DetectabilityRecord
from anomaly.config.region import encode_region, inside_of
from anomaly.data import Pixels
from anomaly.evaluation import detectability
from anomaly.evaluation.defects import DefectKind
from anomaly.evaluation.detectability import LENGTHS, measure_detectability, plan


def pictures(num: int = 3, side: int = 40, *, colour: bool = False) -> list[Pixels]:
    shape = (num, side, side, 3) if colour else (num, side, side)
    return list(np.random.default_rng(0).integers(80, 176, shape, np.uint8))


def everything(several: list[Pixels]) -> list[bool | None]:
    return [True] * len(several)


def nothing(several: list[Pixels]) -> list[bool | None]:
    return [False] * len(several)


def measured(given: Sequence[Pixels], flag: detectability.Flag, *, seed: int = 0) -> DetectabilityRecord:
    record = measure_detectability(given, flag, alpha=0.05, seed=seed, time_limit_s=60.0)
    assert record is not None
    return record


def test_one_that_finds_everything_has_one_everywhere_and_false_alarms_only() -> None:
    record = measured(pictures(), everything)
    assert {cell.share for cell in record.cells} == {1.0}
    assert (record.num_images, record.num_false_alarms) == (3, 3)
    assert all(cell.low < 1 == cell.high for cell in record.cells)


def test_one_that_finds_nothing_has_zero_everywhere_and_no_false_alarm() -> None:
    record = measured(pictures(), nothing)
    assert {cell.share for cell in record.cells} == {0.0}
    assert record.num_false_alarms == 0
    assert all(cell.low == 0 < cell.high for cell in record.cells)


def test_one_that_cannot_say_finds_nothing() -> None:
    assert {cell.share for cell in measured(pictures(), lambda several: [None] * len(several)).cells} == {0.0}


def test_one_that_sees_large_changes_only_finds_large_defects_only() -> None:
    (picture,) = pictures(1)

    def flag(several: list[Pixels]) -> list[bool | None]:
        return [int((other != picture).sum()) > 150 for other in several]

    found = {(cell.kind, cell.length): cell.share for cell in measured([picture], flag).cells}
    assert found[DefectKind.STRIPES, 16] == 1
    assert found[DefectKind.STRIPES, 8] == 0
    assert found[DefectKind.DARK_SCRATCH, 16] == 0


def test_every_picture_has_every_defect_that_it_can_show_and_one_at_a_time() -> None:
    given = pictures(4, colour=True)
    record = measured(given, nothing)
    assert {(cell.kind, cell.length, cell.contrast) for cell in record.cells} == {
        (defect.kind, defect.length, defect.contrast) for defect in plan(given[0], num_affordable=10**6)
    }
    assert {cell.shown for cell in record.cells} == {4}
    assert all(cell.width == max(1, cell.length // 8) for cell in record.cells if "scratch" in cell.kind)
    assert all(cell.width == cell.length for cell in record.cells if "scratch" not in cell.kind)


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson 1927: all shares p for which |k/n - p| is at most z standard errors of p."""
    z = norm.ppf(0.975)
    centre, half = (k + z**2 / 2) / (n + z**2), z / (n + z**2) * np.sqrt(k * (n - k) / n + z**2 / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def test_intervals_are_wilsons() -> None:
    turns = itertools.cycle([True, False, False])
    record = measured(pictures(10), lambda several: [next(turns) for _ in several])
    counts = {(cell.found, cell.shown): (cell.low, cell.high) for cell in record.cells}
    assert len(counts) > 3
    for (found, shown), interval in counts.items():
        assert interval == pytest.approx(wilson(found, shown))


def seen_by(seed: int) -> list[Pixels]:
    seen: list[Pixels] = []

    def flag(several: list[Pixels]) -> list[bool | None]:
        seen.extend(several)
        return nothing(several)

    measured(pictures(2), flag, seed=seed)
    return [picture for picture in seen if not any(np.array_equal(picture, plain) for plain in pictures(2))]


def test_the_same_seed_spoils_alike_and_another_does_not() -> None:
    first, again, other = seen_by(1), seen_by(1), seen_by(2)
    assert len(first) == len(again) > 50
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert {picture.tobytes() for picture in first} != {picture.tobytes() for picture in other}


def test_defects_are_at_most_half_as_long_as_the_picture_is_wide() -> None:
    assert {defect.length for defect in plan(np.zeros((200, 33), np.uint8), num_affordable=10**6)} == {2, 4, 8, 16}
    assert {defect.length for defect in plan(np.zeros((128, 200), np.uint8), num_affordable=10**6)} == set(LENGTHS)
    assert plan(np.zeros((200, 3), np.uint8), num_affordable=10**6) == []
    assert measure_detectability([np.zeros((3, 5), np.uint8)], nothing, alpha=0.05, seed=0, time_limit_s=60.0) is None
    assert measure_detectability([], nothing, alpha=0.05, seed=0, time_limit_s=60.0) is None


def test_defects_lie_inside_of_the_region() -> None:
    rows, columns = np.mgrid[:40, :40]
    region = encode_region((rows - 12) ** 2 + (columns - 25) ** 2 <= 8**2)
    seen: list[Pixels] = []

    def flag(several: list[Pixels]) -> list[bool | None]:
        seen.extend(several)
        return nothing(several)

    given = pictures(2)
    record = measure_detectability(given, flag, alpha=0.05, seed=0, region=region, time_limit_s=60.0)
    assert record is not None
    assert {cell.length for cell in record.cells} == {2, 4, 8, 16}
    outside = ~inside_of(region, 40, 40)
    assert all(any(np.array_equal(each[outside], picture[outside]) for picture in given) for each in seen)


def test_the_plan_is_smaller_where_scoring_is_slow() -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    whole, fewer, few_kinds, fewest = (plan(picture, num_affordable=num) for num in (900, 899, 120, 1))
    assert len(whole) == 90
    assert {defect.contrast for defect in fewer} == {0.3, None}
    assert {defect.kind for defect in fewer} == set(DefectKind)
    assert {defect.kind for defect in few_kinds} == {DefectKind.DARK_SCRATCH, DefectKind.BRIGHT_SPOT}
    assert len(few_kinds) == 2 * len(LENGTHS)
    assert [(defect.kind, defect.length) for defect in fewest] == [
        (kind, length) for kind in (DefectKind.DARK_SCRATCH, DefectKind.BRIGHT_SPOT) for length in (4, 16, 64)
    ]
    assert len(plan(np.zeros((5, 5), np.uint8), num_affordable=1)) == 2


def test_a_time_limit_ends_it_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that each score moves by a second."""
    now = 0.0

    def flag(several: list[Pixels]) -> list[bool | None]:
        nonlocal now
        now += len(several)
        return everything(several)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    record = measure_detectability(pictures(50), flag, alpha=0.05, seed=0, time_limit_s=200.0)
    assert record is not None
    assert record.is_out_of_time
    assert 200 < now < 220
    assert 200 / 9 - 3 < record.num_images < 200 / 9 + 1  # each of eight defects, and one without
    assert {cell.kind for cell in record.cells} == {DefectKind.DARK_SCRATCH, DefectKind.BRIGHT_SPOT}
    assert not measured(pictures(2), everything).is_out_of_time


def test_where_a_picture_takes_seconds_none_is_scored_only_for_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    calls = []

    def flag(several: list[Pixels]) -> list[bool | None]:
        nonlocal now
        now += 6 * len(several)
        calls.append(len(several))
        return everything(several)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(detectability, "MAX_BYTES", 1)
    record = measure_detectability(pictures(9), flag, alpha=0.05, seed=0, time_limit_s=60.0)
    assert record is not None
    assert record.is_out_of_time
    assert calls == [1] * 11  # the last began when the minute was just over
    assert sum(cell.shown for cell in record.cells) == 11 - 1 - record.num_images


def test_spoilt_pictures_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectability, "MAX_BYTES", 3 * 40 * 40)
    sizes = []

    def flag(several: list[Pixels]) -> list[bool | None]:
        sizes.append(len(several))
        return nothing(several)

    record = measured(pictures(2), flag)
    assert max(sizes) == 3
    monkeypatch.undo()
    assert record == measured(pictures(2), nothing)


def test_a_cell_cannot_be_found_more_often_than_it_is_shown() -> None:
    with pytest.raises(ValueError, match="found in 3 of 2 pictures"):
        DetectabilityCell(kind="dent", width=2, length=2, contrast=0.1, found=3, shown=2, low=0.0, high=1.0)
