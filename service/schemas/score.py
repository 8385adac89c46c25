"""Scoring: what may be asked of a model, and what is found in images."""

from typing import Annotated

from pydantic import Field, FiniteFloat

from service.schemas.base import ErrorAnswer, ModelIdentity, Schema
from service.schemas.labels import FileName, PartId

Alpha = Annotated[float, Field(ge=1e-9, lt=1.0, allow_inf_nan=False)]


class BatchQuery(Schema):
    """Which model judges, and how strictly."""

    model: str | None = Field(default=None, min_length=1)
    """A bundle's name; may be left out where there is one only, or a default."""
    version: int | None = Field(default=None, ge=1)
    """One of its versions; the highest if left out."""
    alpha: Alpha | None = None
    """The share of normal images that may be called anomalous."""
    part: PartId | None = None
    """Which part the images show: kept in the history, logged, and part of the answer."""


class ScoreQuery(BatchQuery):
    """The parameters of a batch; one image can also be named and explained."""

    name: FileName | None = None
    """The image file's real name, in the place of the one that it was sent with."""
    heatmap: bool = False
    """Answer with heatmap and reconstruction too."""


class ImageScore(Schema):
    """What was found in one image. Raw score, threshold and p-value are three things and never share a field."""

    part: str | None
    """Which part it shows, as it was sent; null where nothing was sent."""
    filename: str | None
    """As it was sent; null where nothing was sent."""
    score: FiniteFloat
    """How anomalous, on the model's own scale: higher is more."""
    p_value: FiniteFloat
    """How seldom a normal image scores this high or higher: (1 + #{calibration scores ≥ score}) / (n_cal + 1)."""
    threshold: FiniteFloat | None
    """Scores above it are called anomalous; null when the model has too few calibration images for this alpha."""
    is_anomalous: bool | None
    """Whether score > threshold; null without a threshold."""
    alpha: FiniteFloat
    """The false-alarm rate that the threshold is for."""
    message: str | None
    """Why there is no threshold; else null."""
    warning: str | None
    """Why the p-value does not hold for a picture of this size or shape; else null."""
    remarks: list[str]
    """What the file holds and was not used, such as further pages; mostly empty."""
    terms: dict[str, FiniteFloat]
    """The evidence that the score is made of."""
    history_id: int | None = None
    """The number of its row in the history, which is committed; null if none is kept, or it could not be."""


class ScoreAnswer(ModelIdentity, ImageScore):
    """One image's score."""


class PlaceAnswer(Schema):
    """The strongest place of a heatmap: a box in the picture's pixels, from its upper left corner."""

    x: int = Field(ge=0)
    y: int = Field(ge=0)
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    strength: FiniteFloat
    """Its maximum in multiples of what the strongest place of an ordinary normal image has."""


class IllustratedAnswer(ScoreAnswer):
    """One image's score with pictures, which are PNG files in base64, and what explains it."""

    heatmap: str
    """8-bit grey, of the original image's size: an ordinary normal image reaches 64."""
    strongest: PlaceAnswer | None
    """Of the heatmap; null where all of it is equal. Whether the image is anomalous is told by `is_anomalous` only."""
    standardised: dict[str, FiniteFloat]
    """How many standard deviations each term lies above the mean of normal images."""
    outlying: FiniteFloat
    """A term that lies further above is extreme: 6 deviations, more where few normal images tell what is ordinary."""
    reconstruction: str | None
    """The closest normal image that the model can make, of the model's size; null where it can make none (no G)."""


class ImageFailure(ErrorAnswer):
    """In a batch: this image could not be scored; its neighbours were."""

    part: str | None
    filename: str | None


class BatchAnswer(ModelIdentity):
    """One result for each image, in the order they were sent."""

    results: list[ImageScore | ImageFailure]
