"""What a training is asked for, and how it is watched. Other packages have both from `pipeline.train`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

from anomaly.config.mistakes import shown
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.errors import UsageError
from anomaly.files import make_paths
from anomaly.pipeline.reading import ReadingWatch
from anomaly.recipes import AUTO, Resolved, Sections
from anomaly.training import HistoryRow


@dataclass(frozen=True)
class TrainOptions:
    """The options of `anomaly train`: the data, a recipe with fields set on top of it, and what belongs to this run.

    `groups` says which part each image shows, "" where every image is a part of its own (see `open_dataset`).
    `overrides` are fields of the recipe by section, such as {"training": {"steps": 1000}}. `region` is a file of a mask
    or of polygons (see `regions.reading`). `init_decoder` is a bundle, usually an autoencoder's, whose decoder G begins
    as. Larger images than `max_pixels` are left out. `command` is recorded in the bundle. `measures`: whether it is
    measured how small a defect is found, which takes up to a minute. `nproc` is how many processes of this machine
    train it together (see `training.ranks`).
    """

    data: str
    out: Path
    recipe: str = AUTO
    overrides: Sections = field(default_factory=dict)
    normal: tuple[str, ...] = ()
    groups: str = ""
    region: Path | None = None
    init_decoder: Path | None = None
    max_minutes: float | None = None
    device: str = "auto"
    resume: bool = False
    tensorboard: Path | None = None
    max_pixels: int = DEFAULT_LIMITS.max_pixels
    command: str = ""
    measures: bool = True
    nproc: int = 1

    def __post_init__(self) -> None:
        """Paths may be given as texts. Raises UsageError for what is of another kind than it should be."""
        make_paths(self, "out", "region", "init_decoder", "tensorboard")
        recipe: object = self.recipe
        if isinstance(recipe, Path):
            object.__setattr__(self, "recipe", str(recipe))
        elif not isinstance(recipe, str):
            raise UsageError(
                f"recipe is {shown(recipe)}; expected the name of a recipe or a file that ends in .toml, as a text or "
                "a path; its fields are set by overrides"
            )
        if not isinstance(self.overrides, Mapping):
            raise UsageError(
                f"overrides is {shown(self.overrides)}; expected fields by section, such as "
                '{"training": {"steps": 1000}}'
            )
        minutes: object = self.max_minutes
        if minutes is not None and not (isinstance(minutes, Real) and float(minutes) >= 0):
            raise UsageError(
                f"max_minutes, or --max-minutes, is the time for training in minutes, 0 or more; got {minutes!r}"
            )


@dataclass(frozen=True)
class TrainWatch(ReadingWatch):
    """How a caller watches a training, which reads a data set first.

    `on_recipe` is called before an image is read, `on_step` every ten steps with the means of the curves since then,
    and `on_calibrating` when the networks have learnt. `on_warning` gets each warning once: what goes wrong, and what
    to change; a resumed run gives its earlier ones too. A training in stages, such as one network after the other,
    tells them by `on_progress`: the stage in plain words, how many of its pictures or steps are done, and of how many,
    None where nothing is counted. Then `on_step` counts the steps of the stage that was told last.
    Where normals were held out to report on, `on_measuring` comes last: how small a defect is found is measured.
    """

    on_recipe: Callable[[Resolved], None] = lambda resolved: None
    on_step: Callable[[int, HistoryRow], None] = lambda step, row: None
    on_calibrating: Callable[[], None] = lambda: None
    on_warning: Callable[[str], None] = lambda warning: None
    on_measuring: Callable[[], None] = lambda: None
    on_progress: Callable[[str, int, int | None], None] = lambda stage, done, total: None
