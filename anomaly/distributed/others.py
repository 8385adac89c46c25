"""Tables in DEST that are no results of SRC: of shards that were renamed or are gone, of another SRC, or not ours.

Who reads DEST as one table gets their rows, too. They are told, never removed: they may be all that is left of a shard.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.counted import counted
from anomaly.distributed.shards import Shard
from anomaly.distributed.storage import Storage
from anomaly.errors import DataError

_SUFFIX = ".parquet"


@dataclass(frozen=True)
class OtherTables:
    """How many there are, and the first of them by name; `unknown` says why DEST could not be listed."""

    num: int = 0
    first: str = ""
    unknown: str | None = None

    def sentences(self, destination: str) -> list[str]:
        """What is to be said of them, if anything."""
        if self.unknown is not None:
            return [f"whether there are other tables in {destination} is not known: {self.unknown}"]
        if not self.num:
            return []
        tables = counted(self.num, "table that is no result of SRC", "tables that are no results of SRC")
        return [
            f"{destination} has {tables}, such as {self.first}: who reads the folder as one table gets these rows too; "
            "move them away, or give another --out"
        ]


def other_tables(destination: Storage, shards: Iterable[Shard]) -> OtherTables:
    """The tables in DEST that are no results of these shards: 8 bytes are held for each shard, and one listing."""
    results = np.fromiter((hash(shard.result) for shard in shards), np.int64)
    results.sort()
    try:
        others = [name for name in _tables(destination, "", frozenset()) if not _is_among(hash(name), results)]
    except DataError as error:
        return OtherTables(unknown=str(error))
    return OtherTables(len(others), others[0] if others else "")


def _tables(destination: Storage, folder: str, ancestors: frozenset[object]) -> Iterator[str]:
    """Links to folders are followed, but never in a circle."""
    identity = destination.identity(folder)
    if identity in ancestors:
        return
    below = ancestors if identity is None else ancestors | {identity}
    for entry in destination.list(folder):
        name = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_folder:
            yield from _tables(destination, name, below)
        elif name.endswith(_SUFFIX):
            yield name


def _is_among(value: int, ascending: NDArray[np.int64]) -> bool:
    place = int(np.searchsorted(ascending, value))
    return place < len(ascending) and int(ascending[place]) == value
