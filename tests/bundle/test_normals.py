import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from anomaly.bundle import NormalRecord, NormalSet, record_of

UNKNOWN, TRAIN, SELECT, CALIBRATE, REPORT, UNUSED, LABELLED = NormalSet
KEYS = st.lists(st.integers(0, 30), max_size=12)


def keys(*values: int) -> NDArray[np.uint64]:
    return np.array(values, np.uint64)


def table(record: NormalRecord) -> dict[int, NormalSet]:
    return {int(key): NormalSet(int(s)) for key, s in zip(record.keys, record.sets, strict=True)}


def test_each_image_has_its_set_and_keys_are_ascending() -> None:
    record = record_of(keys(40, 10, 30, 20), [(TRAIN, [1, 3]), (SELECT, [0]), (CALIBRATE, [2])])
    assert table(record) == {10: TRAIN, 20: TRAIN, 30: CALIBRATE, 40: SELECT}
    assert record.keys.tolist() == [10, 20, 30, 40]
    assert record.sets.dtype == np.uint8


def test_an_image_that_is_there_twice_is_in_the_set_that_has_used_it_most() -> None:
    record = record_of(keys(7, 7, 5, 5, 5), [(TRAIN, [1]), (SELECT, [3]), (CALIBRATE, [0, 2, 4])])
    assert table(record) == {5: SELECT, 7: TRAIN}


def test_what_is_in_no_set_is_unknown() -> None:
    assert table(record_of(keys(1, 2), [(TRAIN, [0])])) == {1: TRAIN, 2: UNKNOWN}


def test_a_report_and_what_is_unused_are_known() -> None:
    record = record_of(keys(1, 2, 3, 2, 3), [(TRAIN, [0]), (REPORT, [1]), (UNUSED, [2, 3])])
    assert table(record) == {1: TRAIN, 2: REPORT, 3: UNUSED}
    assert record.knows(keys(2, 3)).all()


def test_a_copy_that_is_in_no_set_is_the_image_that_is() -> None:
    assert table(record_of(keys(5, 5, 9, 9), [(SELECT, [1]), (CALIBRATE, [2])])) == {5: SELECT, 9: CALIBRATE}


def test_of_no_images_there_is_nothing_to_know() -> None:
    record = record_of(keys(), [(TRAIN, [])])
    assert record.keys.shape == record.sets.shape == (0,)
    assert not record.knows(keys(1, 2)).any()


def test_a_calibration_knows_what_it_did_not_use() -> None:
    before = record_of(keys(1, 2), [(TRAIN, [0]), (UNUSED, [1])])
    after = before.with_calibration(keys(3), unused=keys(4, 3, 2, 1))
    assert table(after) == {1: TRAIN, 2: UNUSED, 3: CALIBRATE, 4: UNUSED}


def test_labelled_defects_take_the_place_of_those_before_and_of_no_normal_image() -> None:
    before = record_of(keys(1, 2, 3), [(TRAIN, [0]), (CALIBRATE, [1]), (UNUSED, [2])])
    first = before.with_labelled(keys(9, 8, 2))
    assert table(first) == {1: TRAIN, 2: CALIBRATE, 3: UNUSED, 8: LABELLED, 9: LABELLED}
    assert first.knows(keys(8, 9)).all()
    assert table(first.with_labelled(keys(7))) == {1: TRAIN, 2: CALIBRATE, 3: UNUSED, 7: LABELLED}


@given(KEYS, KEYS)
def test_a_calibration_adds_what_is_new_and_keeps_the_rest(old: list[int], new: list[int]) -> None:
    sets = np.resize(np.array(list(NormalSet), np.uint8), len(old))
    before = NormalRecord.of(keys(*old), sets)
    after = before.with_calibration(keys(*new))
    assert table(after) == dict.fromkeys(new, CALIBRATE) | table(before)
    assert after.keys.tolist() == sorted({*old, *new})
    assert_array_equal(after.knows(keys(*new)), np.ones(len(new), bool))


def test_an_image_keeps_the_part_that_was_known_first() -> None:
    before = record_of(keys(1, 2, 3), [(TRAIN, [0, 1]), (CALIBRATE, [2])])
    assert before.lacks_parts
    known = before.with_parts(keys(3, 1, 1, 9), keys(30, 10, 11, 90))
    assert known.parts.tolist() == [10, 0, 30]
    assert known.lacks_parts
    assert not known.with_parts(keys(1, 2), keys(99, 20)).lacks_parts
    after = known.with_calibration(keys(0, 4), unused=keys(5)).with_parts(keys(4, 5), keys(40, 50))
    assert dict(zip(after.keys.tolist(), after.parts.tolist(), strict=True)) == {0: 0, 1: 10, 2: 0, 3: 30, 4: 40, 5: 50}
