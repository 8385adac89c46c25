"""Which normal images made a bundle, the set that each was in (law 5), and its part: later versions keep it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]


class NormalSet(IntEnum):
    """The disjoint sets; UNKNOWN is of bundles of schema 1, which kept the keys alone.

    UNUSED are pictures of parts that another picture counts for; they are known, so that nothing takes them for new.
    LABELLED are no normals: they are labelled defects that a version was refined by.
    """

    UNKNOWN = 0
    TRAIN = 1
    SELECT = 2
    CALIBRATE = 3
    REPORT = 4
    UNUSED = 5
    LABELLED = 6


@dataclass(frozen=True)
class NormalRecord:
    """`keys` (n,) of images (see `data.image_keys`), ascending and without repeats; `sets` (n,) uint8, of NormalSet.

    `parts` (n,) are the keys of the parts that they show (see `data.part_keys`), 0 where that is not known.
    """

    keys: Keys
    sets: NDArray[np.uint8]
    parts: Keys

    @classmethod
    def of(cls, keys: Keys, sets: NDArray[np.uint8], parts: Keys | None = None) -> "NormalRecord":
        """From keys in any order; without `parts` none is known.

        An image that occurs twice counts for the first of its sets, in their order. UNKNOWN comes last: a copy, which
        was left out of the sets, is the image that it is a copy of.
        """
        order = np.lexsort((np.where(sets == NormalSet.UNKNOWN, len(NormalSet), sets), keys))
        parts = np.zeros(len(keys), np.uint64) if parts is None else parts[order]
        keys, sets = keys[order], sets[order]
        first = np.concatenate([[True], keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, bool)
        return cls(keys[first], sets[first], parts[first])

    def knows(self, keys: Keys) -> NDArray[np.bool_]:
        """For each key, whether its image made the bundle."""
        return np.isin(keys, self.keys)

    @property
    def lacks_parts(self) -> bool:
        """Whether the part of an image that trained is not known."""
        return not self.parts[self.sets == NormalSet.TRAIN].all()

    def with_parts(self, keys: Keys, parts: Keys) -> "NormalRecord":
        """With the parts that the images of these keys show, where they were not known."""
        distinct, rows = np.unique(keys, return_index=True)
        is_new = np.isin(self.keys, distinct) & (self.parts == 0)
        found = self.parts.copy()
        found[is_new] = parts[rows[np.searchsorted(distinct, self.keys[is_new])]]
        return replace(self, parts=found)

    def with_calibration(self, keys: Keys, unused: Keys | None = None) -> "NormalRecord":
        """With further *calibrate* images, and others that are `unused`; images that are known stay in their sets."""
        record = self._with(NormalSet.CALIBRATE, keys)
        return record if unused is None else record._with(NormalSet.UNUSED, unused)

    def with_labelled(self, keys: Keys) -> "NormalRecord":
        """With labelled defects of these keys, and without the ones of before; images that are known stay."""
        kept = self.sets != NormalSet.LABELLED
        return NormalRecord(self.keys[kept], self.sets[kept], self.parts[kept])._with(NormalSet.LABELLED, keys)

    def _with(self, normal_set: NormalSet, keys: Keys) -> "NormalRecord":
        new = keys[~self.knows(keys)]
        sets = np.full(len(new), normal_set, np.uint8)
        parts = np.concatenate([self.parts, np.zeros(len(new), np.uint64)])
        return self.of(np.concatenate([self.keys, new]), np.concatenate([self.sets, sets]), parts)


def record_of(keys: Keys, sets: Sequence[tuple[NormalSet, Sequence[int]]]) -> NormalRecord:
    """From the keys of all images and, for each set, the indices of those in it."""
    found = np.full(len(keys), NormalSet.UNKNOWN, np.uint8)
    for normal_set, indices in sets:
        found[np.asarray(indices, dtype=np.int64)] = normal_set
    return NormalRecord.of(keys, found)
