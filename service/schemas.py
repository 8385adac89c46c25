"""What requests may ask and what answers hold. `/docs` is made from these."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat

from anomaly.config import PreprocessConfig

Alpha = Annotated[float, Field(ge=1e-9, lt=1.0, allow_inf_nan=False)]


class Schema(BaseModel):
    """Base: fields are documented where they are declared, and unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class BatchQuery(Schema):
    """Which model judges, and how strictly."""

    model: str | None = None
    """A bundle's name; may be left out where there is one only, or a default."""
    version: int | None = Field(default=None, ge=1)
    """One of its versions; the highest if left out."""
    alpha: Alpha | None = None
    """The share of normal images that may be called anomalous."""


class ScoreQuery(BatchQuery):
    """As for a batch; one image can also be explained."""

    heatmap: bool = False
    """Answer with heatmap and reconstruction too."""


class BundleQuery(Schema):
    """Which bundle of the models folder."""

    model: str
    """Its name."""
    version: int | None = Field(default=None, ge=1)
    """One of its versions; the highest if left out."""


class VersionQuery(BundleQuery):
    """Which version of which bundle."""

    version: int = Field(ge=1)
    """One of its versions."""


class ImageScore(Schema):
    """What was found in one image. Raw score, threshold and p-value are three things and never share a field."""

    filename: str
    """As it was sent."""
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
    """Why there is no threshold; null when there is one."""
    terms: dict[str, FiniteFloat]
    """The evidence that the score is made of."""
    history_id: int | None = None
    """The number of its row in the history, which is committed; null if none is kept, or it could not be."""


class ModelIdentity(Schema):
    """Which bundle answered."""

    model: str
    version: int
    digest: str
    """SHA-256 over all of the bundle's files."""


class ScoreAnswer(ModelIdentity, ImageScore):
    """One image's score."""


class IllustratedAnswer(ScoreAnswer):
    """One image's score with pictures; both are PNG files in base64."""

    heatmap: str
    """8-bit grey, of the original image's size: an ordinary normal image reaches 64."""
    reconstruction: str
    """The closest normal image that the model can make, of the model's size."""


class ErrorDetail(Schema):
    """What went wrong."""

    code: str
    """Stable: programs may rely on it."""
    message: str
    """A sentence for people."""


class ErrorAnswer(Schema):
    """Every error has this shape."""

    error: ErrorDetail


class ImageFailure(ErrorAnswer):
    """In a batch: this image could not be scored; its neighbours were."""

    filename: str


class BatchAnswer(ModelIdentity):
    """One result an image, in the order they were sent."""

    results: list[ImageScore | ImageFailure]


class VersionSummary(Schema):
    """One version of a bundle; what only a loaded one tells is null before."""

    version: int
    status: Literal["loading", "loaded", "failed"]
    message: str | None = None
    """Why it failed; of a loaded one, why the files that lie there now have been refused."""
    digest: str | None = None
    method: str | None = None
    num_calibration: int | None = None
    """The number of normal images behind p-values and thresholds."""


class VersionDetail(VersionSummary):
    """All that a version tells of itself."""

    preprocess: PreprocessConfig | None = None
    metrics: dict[str, Any] | None = None
    card: str | None = None
    """The model card, in Markdown."""


class ModelSummary(Schema):
    """A bundle and its versions, oldest first."""

    name: str
    is_default: bool
    current: int
    """The version that answers where a request names none."""
    versions: list[VersionSummary]


class ModelDetail(Schema):
    """A bundle and all that its versions tell, oldest first."""

    name: str
    is_default: bool
    current: int
    """The version that answers where a request names none."""
    versions: list[VersionDetail]


class ModelsAnswer(Schema):
    """Every bundle that is served, is being loaded, or has failed."""

    models: list[ModelSummary]
    history: bool
    """Whether the server keeps a history, which GET /history shows."""
    alpha: float
    """The false-alarm rate of verdicts where a request asks for none."""


class DriftQuery(Schema):
    """Which version."""

    version: int | None = Field(default=None, ge=1)
    """One of its versions; the current one if left out."""


class DriftWindow(Schema):
    """The p-values of the last answers, counted."""

    num: int
    """How many there are: the last 1,000 at the most."""
    counts: list[int]
    """20 bins of equal width over 0 … 1; those of a steady process are alike."""


class DriftAnswer(ModelIdentity):
    """Whether the scores are still distributed as the calibration's, since the server began to watch."""

    rate: float
    """The probability that the alarm ever sounds while nothing changes."""
    num_scores: int
    log10_martingale: float
    """The evidence against a steady process, of which 1/rate is the alarm's line."""
    max_log10_martingale: float
    alarm: bool
    """On from its first crossing until another bundle, or the server, begins anew."""
    alarm_at: int | None
    """The number of the score that set it off."""
    alarm_time: datetime | None
    trajectory: list[tuple[int, float]]
    """[number of scores, log10_martingale], thinned to at most 514 points."""
    window: DriftWindow


Judgement = Literal["normal", "anomalous", "none"]
RowId = Annotated[int, Field(ge=1, le=2**63 - 1)]


def _refuse_number(value: object) -> object:
    """A number would be taken for seconds since 1970, which nobody means who writes a year."""
    if isinstance(value, str) and value.replace(".", "", 1).lstrip("+-").isdecimal():
        raise ValueError("a date and a time is wanted, as in 2026-01-31T12:00:00Z")
    return value


Moment = Annotated[datetime, BeforeValidator(_refuse_number)]


class HistoryFilters(Schema):
    """Which images of the history."""

    model: str | None = None
    """Scored by this model."""
    verdict: Judgement | None = None
    """With this verdict; `none`: without one."""
    correction: Judgement | None = None
    """Corrected so; `none`: not corrected."""
    since: Moment | None = None
    """Scored then or later; without a zone, UTC."""
    until: Moment | None = None
    """Scored before."""
    min_score: float | None = Field(default=None, allow_inf_nan=False)
    max_score: float | None = Field(default=None, allow_inf_nan=False)


class HistoryQuery(HistoryFilters):
    """And which part of them."""

    before: RowId | None = None
    """Rows before this one: the `next` of the page before."""
    limit: int = Field(default=100, ge=1, le=500)


class HistoryRow(ModelIdentity):
    """One scored image, as it was answered, and what a person said of it."""

    id: int
    request_id: str
    time: str
    """UTC, ISO 8601."""
    filename: str
    image_hash: str
    """SHA-256 of the bytes as sent."""
    score: float
    p_value: float
    threshold: float | None
    alpha: float
    is_anomalous: bool | None
    correction: Literal["normal", "anomalous"] | None
    corrected_by: str | None
    """The name of the key; `local` where no keys are asked for."""
    corrected_at: str | None
    has_thumbnail: bool


class HistoryAnswer(Schema):
    """Rows, newest first."""

    items: list[HistoryRow]
    next: int | None
    """Ask for those before this one, for the next page; null on the last."""


class CorrectionBody(Schema):
    """What the image really is; null takes a correction back."""

    correction: Literal["normal", "anomalous"] | None


class RescanAnswer(Schema):
    """What a rescan changed; the lists name versions as name/version."""

    loaded: list[str]
    failed: list[str]
    """With the reason; what served before serves on."""


class HealthAnswer(Schema):
    """The process answers."""

    status: Literal["alive"] = "alive"


class ReadyAnswer(Schema):
    """Whether the server can score; the lists name current versions as name/version.

    Where there are keys, a caller without one gets empty lists.
    """

    ready: bool
    loaded: list[str]
    loading: list[str]
    failed: list[str]
