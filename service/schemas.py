"""What requests may ask and what answers hold. `/docs` is made from these."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

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
