import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anomaly.data import Mask, PackedMask, PackedMasks


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_a_mask_comes_back_as_it_was(mask: Mask) -> None:
    unpacked = PackedMask.pack(mask).unpack()
    assert unpacked.dtype == np.bool_
    np.testing.assert_array_equal(unpacked, mask)
    np.testing.assert_array_equal(~unpacked, ~mask)


def test_a_mask_takes_little_room() -> None:
    mask = np.zeros((1000, 1000), np.bool_)
    mask[100:300, 200:700] = True
    assert len(PackedMask.pack(mask).data) < mask.size / 100
    noise = np.random.default_rng(0).random((1000, 1000)) < 0.5
    assert len(PackedMask.pack(noise).data) < noise.size / 7


def test_masks_are_looked_up_by_their_number() -> None:
    marked, empty = np.eye(3, dtype=np.bool_), np.zeros((2, 5), np.bool_)
    masks = PackedMasks({4: PackedMask.pack(marked), 2: PackedMask.pack(empty)})
    assert (list(masks), len(masks)) == ([4, 2], 2)
    for number, mask in ((4, marked), (2, empty)):
        np.testing.assert_array_equal(masks[number], mask)
    assert masks.get(3) is None
    with pytest.raises(KeyError):
        masks[0]


def test_a_changed_mask_is_nobody_elses() -> None:
    masks = PackedMasks({0: PackedMask.pack(np.zeros((2, 2), np.bool_))})
    masks[0][:] = True
    assert not masks[0].any()
