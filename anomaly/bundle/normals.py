"""Which normal images made a bundle, and the set that each was in (law 5): later versions keep it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]


class NormalSet(IntEnum):
    """The disjoint sets; UNKNOWN is of bundles of schema 1, which kept the keys alone.

    UNUSED are pictures of parts that another picture counts for; they are known, so that nothing takes them for new.
    """

    UNKNOWN = 0
    TRAIN = 1
    SELECT = 2
    CALIBRATE = 3
    REPORT = 4
    UNUSED = 5


@dataclass(frozen=True)
class NormalRecord:
    """`keys` (n,) of images (see `data.image_keys`), ascending and without repeats; `sets` (n,) uint8, of NormalSet."""

    keys: Keys
    sets: NDArray[np.uint8]

    @classmethod
    def of(cls, keys: Keys, sets: NDArray[np.uint8]) -> "NormalRecord":
        """From keys in any order. An image that occurs twice counts for the first of its sets, in their order.

        UNKNOWN comes last: a copy, which was left out of the sets, is the image that it is a copy of.
        """
        order = np.lexsort((np.where(sets == NormalSet.UNKNOWN, len(NormalSet), sets), keys))
        keys, sets = keys[order], sets[order]
        first = np.concatenate([[True], keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, bool)
        return cls(keys[first], sets[first])

    def knows(self, keys: Keys) -> NDArray[np.bool_]:
        """For each key, whether its image made the bundle."""
        return np.isin(keys, self.keys)

    def with_calibration(self, keys: Keys, unused: Keys | None = None) -> "NormalRecord":
        """With further *calibrate* images, and others that are `unused`; images that are known stay in their sets."""
        record = self
        for normal_set, given in ((NormalSet.CALIBRATE, keys), (NormalSet.UNUSED, unused)):
            if given is not None:
                new = given[~record.knows(given)]
                sets = np.full(len(new), normal_set, np.uint8)
                record = self.of(np.concatenate([record.keys, new]), np.concatenate([record.sets, sets]))
        return record


def record_of(keys: Keys, sets: Sequence[tuple[NormalSet, Sequence[int]]]) -> NormalRecord:
    """From the keys of all images and, for each set, the indices of those in it."""
    found = np.full(len(keys), NormalSet.UNKNOWN, np.uint8)
    for normal_set, indices in sets:
        found[np.asarray(indices, dtype=np.int64)] = normal_set
    return NormalRecord.of(keys, found)
