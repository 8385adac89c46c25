"""`weights.safetensors`: the state of the networks, and where in the file each array lies.

The evidence graph has no weights of its own: its initialisers lie in this file. Source: the format's
description by safetensors (8 bytes of the header's length, the header as JSON, the arrays).
"""

import hashlib
import json

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.generic]]


def to_bytes(arrays: Arrays) -> bytes:
    """The file of these arrays; the same arrays give the same bytes."""
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def layout_digest(file: bytes) -> str:
    """SHA-256 of the header: of the arrays' names, types, shapes and places."""
    return hashlib.sha256(file[: 8 + int.from_bytes(file[:8], "little")]).hexdigest()


def byte_ranges(file: bytes) -> dict[str, tuple[int, int]]:
    """For each array of a file by `to_bytes`: the byte that it begins at, and the number of its bytes."""
    start = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:start])
    spans = {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
    return {name: (start + begin, end - begin) for name, (begin, end) in spans.items()}
