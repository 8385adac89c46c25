"""Bundles: which there are, what they tell of themselves, and how they are loaded."""

from typing import Any, Literal

from pydantic import Field

from anomaly.bundle import DetectabilityRecord
from anomaly.config import PreprocessConfig
from service.schemas.base import Schema


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
    detectability: DetectabilityRecord | None = None
    """How small a defect it finds, measured after training; null where that was not measured."""


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
    answer_within_s: float
    """Seconds from the beginning of a scoring request to its answer, at the most: to receive it, and its deadline."""


class RescanAnswer(Schema):
    """What a rescan changed; the lists name versions as name/version."""

    loaded: list[str]
    failed: list[str]
    """Could not be loaded, with the reason; what was served before is still served."""
