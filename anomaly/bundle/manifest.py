"""`manifest.json`: what a bundle is and how it was made. The schema has a version; unknown fields are refused."""

from typing import Literal

from pydantic import Field

from anomaly.bundle.detectability import DetectabilityRecord
from anomaly.bundle.picture_sizes import PictureSizes
from anomaly.config import Config, Precision, Recipe
from anomaly.counted import counted

SCHEMA_VERSION = 3
_TOLERANCE = {Precision.FP32: 1e-5, Precision.BF16: 2e-2}
_TOLERANCE_OF_SEARCH = 1e-3


class DataRecord(Config):
    """Which images made this bundle: counts, and SHA-256 fingerprints of their preprocessed pixels.

    `num_copies` are images left out because they are exact copies of others; `num_report` is 0 where none were held
    out to report on. `groups` is the option --groups of the training, by which each of *train*, *select*, *calibrate*
    and *report* had whole parts; "" where parts were not told apart. `calibration_groups` is that of the calibration:
    with it each of `num_calibrate` images is the only one of its part. `num_unused` are pictures of parts that another
    picture counts for.
    `fingerprint` is over all normals of the training run, `calibration_fingerprint` over those given to calibrate.
    `calibration_sizes` is None in bundles that did not keep it. `labelled` has how many labelled defects of each kind
    `anomaly refine` has taught, and is empty where it has not.
    """

    source: str
    form: str
    normal: list[str]
    num_train: int
    num_select: int
    num_calibrate: int
    num_report: int = 0
    num_left_out: int
    num_copies: int = 0
    groups: str = ""
    calibration_groups: str = ""
    num_train_parts: int = 0
    num_select_parts: int = 0
    num_unused: int = 0
    fingerprint: str
    calibration_fingerprint: str
    calibration_sizes: PictureSizes | None = None
    labelled: dict[str, int] = Field(default_factory=dict)

    @property
    def labelled_text(self) -> str:
        """How many labelled defects taught, and of which kinds, as "3 labelled defects (3 cut)"."""
        kinds = ", ".join(f"{num:,} {kind}" for kind, num in self.labelled.items() if kind)
        return f"{counted(sum(self.labelled.values()), 'labelled defect')}{f' ({kinds})' if kinds else ''}"


class Manifest(Config):
    """`manifest.json`. `terms` are the evidence terms in the order of the stored statistics and goldens.

    `recipe` is as it was resolved: with it, the same images and the same seed, training gives the same networks.
    `recipe_name` is the file that it began as; `recipe_reason` says why, where the images chose it. `kept_step` is
    the step whose networks these are, None in old bundles, for the last of `num_steps`; `metrics` are the training
    curves' last values; `warnings` what a user must know of this training; `libraries` the versions that trained it,
    or that refined it where labelled defects have taught; `command` the command line that trained it; `created` when
    this version was made. `detectability` says how small a defect it finds; None where that was not measured with these
    networks and this calibration.
    """

    schema_version: Literal[3] = 3
    recipe_name: str = ""
    recipe_reason: str = ""
    recipe: Recipe
    terms: list[str]
    data: DataRecord
    num_steps: int
    kept_step: int | None = None
    metrics: dict[str, float]
    warnings: list[str] = Field(default_factory=list)
    libraries: dict[str, str]
    command: str = ""
    created: str
    detectability: DetectabilityRecord | None = None

    @property
    def tolerance(self) -> float:
        """What a score may differ by from batch to batch on one machine: of it, or of 1 where it is smaller (law 2).

        A search magnifies step by step what its steps round.
        """
        return _TOLERANCE_OF_SEARCH if self.recipe.search else _TOLERANCE[self.recipe.score.precision]

    @property
    def is_cut_short(self) -> bool:
        """Whether a time limit ended the training before its steps were done."""
        return self.num_steps < self.recipe.training.steps

    @property
    def steps_done(self) -> str:
        """So many of how many, in words. Where networks learn one after the other, a time limit is felt by the last."""
        done = f"{self.num_steps:,} of {self.recipe.training.steps:,} steps"
        if self.recipe.has_generator or not self.is_cut_short:
            return done
        return f"{done} of its last network (the others had at least as many)"
