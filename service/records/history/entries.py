"""What one row holds, on its way into the history and out of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.data import to_channels_last
from service.schemas.history import Correction

THUMBNAIL_SIDE = 96
"""The longest side of a thumbnail, in pixels."""


@dataclass(frozen=True)
class HistoryEntry:
    """One scored image on its way into the history: `data` as it was sent, `pixels` (c, h, w) as it was seen.

    `calibration` has the scores of the bundle that scored it, ascending (n_cal,); drift is watched against them.
    """

    request_id: str
    time: str
    model: str
    version: int
    digest: str
    filename: str | None
    part: str | None
    data: bytes = field(repr=False)
    pixels: NDArray[np.uint8] = field(repr=False)
    score: float
    p_value: float
    threshold: float | None
    alpha: float
    is_anomalous: bool | None
    terms: dict[str, float]
    calibration: NDArray[np.float64] = field(repr=False)

    def values(self, *, with_thumbnail: bool) -> dict[str, object]:
        """By the names of columns. Hashes and draws, so it is not for the event loop."""
        return {
            "request_id": self.request_id, "time": self.time, "model": self.model, "version": self.version,
            "digest": self.digest, "filename": self.filename or "",
            "image_hash": sha256(self.data).hexdigest(), "score": self.score, "p_value": self.p_value,
            "threshold": self.threshold, "alpha": self.alpha, "is_anomalous": self.is_anomalous, "part": self.part,
            "terms": json.dumps(self.terms), "thumbnail": draw_thumbnail(self.pixels) if with_thumbnail else None,
        }  # fmt: skip


@dataclass(frozen=True)
class StoredEntry:
    """One image of the history; times are UTC in ISO 8601, `image_hash` is the SHA-256 of the bytes as sent.

    `filename` and `part` are None where the client did not say, `terms` is None in rows of version 1.
    """

    id: int
    request_id: str
    time: str
    model: str
    version: int
    digest: str
    filename: str | None
    image_hash: str
    score: float
    p_value: float
    threshold: float | None
    alpha: float
    is_anomalous: bool | None
    correction: Correction | None
    corrected_by: str | None
    corrected_at: str | None
    part: str | None
    terms: dict[str, float] | None
    has_thumbnail: bool

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> "StoredEntry":
        """From what `tables.ENTRY` selects."""
        filename = row["filename"] or None  # the column may not be null, since version 1
        return cls(**{**row, "filename": filename, "terms": row["terms"] and json.loads(row["terms"])})


def draw_thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """A small WebP file of an image (c, h, w), grey or colour."""
    image = Image.fromarray(to_channels_last(pixels))
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()
