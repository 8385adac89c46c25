"""A plan of many trainings: a CSV file with one row for each model.

    data,name,recipe,normal,steps,set
    station-1/good,station-1,,,,
    station-2/good,station-2,surfaces,,5000,training.batch_size=32 score.combine=paper

`data` and `name` are needed; an empty cell is an option that is not given. The other columns are named as the options
of `anomaly train`. Relative paths are relative to the plan's folder. `csv_text` tells how the file itself may be
written.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import normalize

from pydantic import Field, ValidationError, field_validator

from anomaly.config.mistakes import mistakes_of
from anomaly.config.sections import Config
from anomaly.data.datasets.csv_text import Line, read_table
from anomaly.errors import AnomalyError, DataError, UsageError
from anomaly.files import is_system_name
from anomaly.pipeline.train import TrainOptions
from anomaly.recipes import AUTO, options_of

BUILT_IN = "digits"
_NEEDED = ("data", "name")


class PlanRow(Config):
    """One model, as its row has it."""

    data: str = Field(min_length=1)
    name: str = Field(min_length=1)
    recipe: str = AUTO
    set_: str = Field(default="", alias="set")
    normal: str = ""
    groups: str = ""
    region: Path | None = None
    size: int | None = None
    steps: int | None = None
    seed: int | None = None
    max_minutes: float | None = Field(default=None, ge=0.0)

    @field_validator("name")
    @classmethod
    def _is_a_folder_name(cls, name: str) -> str:
        if name != Path(name).name or name.startswith(".") or is_system_name(name):
            raise ValueError(
                f"{name} is the name of a model, and of its folder; choose one without / and a dot before it"
            )
        return name


@dataclass(frozen=True)
class Planned:
    """A row: its line in the file, what it asks for, or why it cannot be done."""

    line: int
    name: str
    recipe: str
    options: TrainOptions | None = None
    problem: str | None = None


def read_plan(path: Path, models: Path, *, device: str = "auto") -> list[Planned]:
    """The rows of a plan; `models` holds the new versions, in a folder for each name.

    Raises:
        UsageError: the file cannot be read, its columns are others, or it has no rows.
    """
    try:
        table = read_table(path, _NEEDED)
    except DataError as error:
        raise UsageError(f"the plan {error}") from error
    _check_columns(path, table.header)
    found = [_planned(path, line, table.header, models, device) for line in table.lines]
    if not found:
        raise UsageError(f"the plan {path} has no rows; give one for each model, with its data and its name")
    return list(_each_name_once(found))


def _check_columns(path: Path, names: Sequence[str]) -> None:
    known = [field.alias or name for name, field in PlanRow.model_fields.items()]
    if unknown := [name for name in names if name and name not in known]:
        raise UsageError(f"the plan {path} has a column {unknown[0]!r}; there are {', '.join(known)}")
    if twice := [name for name in known if names.count(name) > 1]:
        raise UsageError(f"the plan {path} names the column {twice[0]} twice; leave one of them out")


def _planned(path: Path, line: Line, header: Sequence[str], models: Path, device: str) -> Planned:
    cells = zip(header, line.fields, strict=False)
    given = {name: value.strip() for name, value in cells if name and value.strip()}
    planned = Planned(line.number, given.get("name", ""), given.get("recipe", AUTO))
    if any(map(str.strip, line.fields[len(header) :])):
        return replace(planned, problem="it has more cells than the first row; quote cells that contain the delimiter")
    if missing := [name for name in _NEEDED if name not in given]:
        return replace(planned, problem=f"{missing[0]} is empty; each row needs data and name")
    try:
        row = PlanRow.model_validate(given)
        return replace(planned, options=_options(row, path.absolute().parent, models.absolute(), device))
    except ValidationError as error:
        return replace(planned, problem=str(mistakes_of(error)[0]))
    except (AnomalyError, ValueError) as error:  # ValueError: quotes of `set` that do not end
        return replace(planned, problem=str(error))


def _options(row: PlanRow, folder: Path, models: Path, device: str) -> TrainOptions:
    recipe = str(folder / row.recipe) if row.recipe.endswith(".toml") else row.recipe
    options = TrainOptions(
        data=row.data if row.data == BUILT_IN else str(folder / row.data),
        out=models / row.name,
        recipe=recipe,
        overrides=options_of(shlex.split(row.set_), size=row.size, steps=row.steps, seed=row.seed),
        normal=tuple(name.strip() for name in row.normal.split(",") if name.strip()),
        groups=row.groups,
        region=row.region and folder / row.region,
        max_minutes=row.max_minutes,
        device=device,
    )
    return replace(options, command=_command(row, options))


def _command(row: PlanRow, options: TrainOptions) -> str:
    """The call of `anomaly train` that does the same. A version that has it is that of this row."""
    given: dict[str, object] = {"recipe": options.recipe, "normal": row.normal, "groups": row.groups}
    given |= {
        "region": options.region,
        "size": row.size,
        "steps": row.steps,
        "seed": row.seed,
        "max-minutes": row.max_minutes,
    }
    words = ["anomaly", "train", options.data, "--out", str(options.out)]
    words += [word for name, value in given.items() if value not in (None, "") for word in (f"--{name}", str(value))]
    return shlex.join(words + [word for field in shlex.split(row.set_) for word in ("--set", field)])


def _each_name_once(rows: list[Planned]) -> Iterator[Planned]:
    """Names that differ by capitals alone, or by how an accent is written, are one folder on many disks."""
    first: dict[str, Planned] = {}
    for row in rows:
        other = first.setdefault(normalize("NFC", row.name).casefold(), row)
        if row.problem is not None or other is row:
            yield row
            continue
        same = "this name too"
        if other.name != row.name:
            same = f"the name {other.name!r}, which many disks take for the same folder"
        yield replace(row, options=None, problem=f"line {other.line} has {same}; give each model its own")
