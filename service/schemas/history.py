"""The history: which rows are asked for, what they hold, and how they are corrected."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from service.schemas.base import ModelIdentity, Schema
from service.schemas.labels import MAX_NAME, MAX_PART

Correction = Literal["normal", "anomalous"]
"""What a person says that an image is."""
VerdictFilter = Literal["normal", "anomalous", "none"]
RowId = Annotated[int, Field(ge=1, le=2**63 - 1)]


PLUS_LOST = re.compile(r".*T.* \d\d:?\d\d")
"""A time whose zone had a + that was not written as %2B in an address, where + is a space."""


def _refuse_what_is_no_moment(value: object) -> object:
    """A number would be taken for seconds since 1970, which nobody means who writes a year."""
    if isinstance(value, str) and value.replace(".", "", 1).lstrip("+-").isdecimal():
        raise ValueError("a date and a time is wanted, as in 2026-01-31T12:00:00Z")
    if isinstance(value, str) and PLUS_LOST.fullmatch(value):
        raise ValueError("in an address + is a space: write %2B for the + of the zone")
    return value


Moment = Annotated[datetime, BeforeValidator(_refuse_what_is_no_moment)]


class HistoryFilters(Schema):
    """Which images of the history."""

    model: str | None = None
    """Scored by this model."""
    part: str | None = Field(default=None, min_length=1, max_length=MAX_PART)
    """With this text anywhere in the part; capital and small letters are the same."""
    name: str | None = Field(default=None, min_length=1, max_length=MAX_NAME)
    """With this text anywhere in the file name; capital and small letters are the same."""
    request_id: str | None = Field(default=None, min_length=1, max_length=64)
    """Scored by the request that has exactly this id."""
    verdict: VerdictFilter | None = None
    """With this verdict; `none`: without one."""
    correction: VerdictFilter | None = None
    """Corrected so; `none`: not corrected."""
    since: Moment | None = None
    """Scored then or later; without a zone, UTC."""
    until: Moment | None = None
    """Scored before."""
    min_score: float | None = Field(default=None, allow_inf_nan=False)
    max_score: float | None = Field(default=None, allow_inf_nan=False)


class HistoryQuery(HistoryFilters):
    """And which page of them."""

    before: RowId | None = None
    """Rows before this one: the `next` of the page before."""
    limit: int = Field(default=100, ge=1, le=500)


class HistoryRow(ModelIdentity):
    """One scored image, as it was answered, and what a person said of it."""

    id: int
    request_id: str
    time: str
    """UTC, ISO 8601."""
    filename: str | None
    """As it was sent; null where none was sent."""
    image_hash: str
    """SHA-256 of the bytes as sent."""
    score: float
    p_value: float
    threshold: float | None
    alpha: float
    is_anomalous: bool | None
    correction: Correction | None
    corrected_by: str | None
    """Who corrected it, or took the correction back: the name of the key; `local` where no keys are asked for."""
    corrected_at: str | None
    """When."""
    part: str | None
    """Which part it shows; null where nothing was sent."""
    terms: dict[str, float] | None
    """The evidence that the score is made of; null in rows that an older version kept."""
    has_thumbnail: bool


class HistoryAnswer(Schema):
    """Rows, newest first."""

    items: list[HistoryRow]
    next: int | None
    """Ask for those before this one, for the next page; null on the last."""
    failure: str | None
    """Why what is scored now is not kept; null while it is."""


class CorrectionBody(Schema):
    """What the image really is; null takes a correction back."""

    correction: Correction | None
