"""`anomaly train-many`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from anomaly.cli.console import Device, err, needs_torch, out, usage, whole_column

if TYPE_CHECKING:
    from anomaly.distributed.trainings import Ended


def train_many(
    plan: Annotated[
        Path,
        typer.Argument(
            metavar="PLAN.csv",
            help="One row for each model: data, name and, where wanted, recipe, set, normal, groups, region, size, "
            "steps, seed, max_minutes. Relative paths are relative to its folder.",
        ),
    ],
    models: Annotated[Path, typer.Option("--out", metavar="models/", help="Holds a folder for each name.")],
    ray: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT|auto", help="Train on this Ray cluster; needs the extra ray."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many models at a time. Default: as there is room for.")
    ] = None,
    cpus_per_worker: Annotated[int, typer.Option(metavar="C", min=1, help="Cores for each model.")] = 1,
    gpus_per_worker: Annotated[
        float, typer.Option(metavar="G", min=0.0, help="GPUs for each model; below 1, several models share one.")
    ] = 0.0,
    device: Device = "auto",
) -> None:
    """Train many models, each as `anomaly train` does; a row that fails does not stop the others.

    Give the same command again after whatever ended it: what is done is left
    as it is, and a training that was killed goes on from its checkpoint.
    """
    with usage():
        needs_torch("anomaly train-many")
        from anomaly.distributed.plan import read_plan
        from anomaly.distributed.trainings import train_many as train_rows
        from anomaly.distributed.workers import Workers

        rows = read_plan(plan, models, device=device)
        places = Workers(num=workers, ray=ray, cpus=cpus_per_worker, gpus=gpus_per_worker)
        ended = []
        for number, one in enumerate(train_rows(rows, places), start=1):
            ended.append(one)
            err.print(f"{number} of {len(rows)}: {escape(one.row.name)} {_how(one)}")
    table = Table(
        "line",
        *map(whole_column, ("name", "recipe")),
        "what",
        "version",
        "minutes",
        "warnings",
        box=None,
        pad_edge=False,
    )
    ended.sort(key=lambda one: one.row.line)
    for one in ended:
        table.add_row(str(one.row.line), escape(one.row.name), escape(one.row.recipe), _how(one), *_cells(one))
    out.print(table)
    failed = [one for one in ended if one.error]
    for one in failed:  # whole sentences: a column would break them
        name = f", {escape(one.row.name)}," if one.row.name else ""
        out.print(f"line {one.row.line}{name} has failed: {escape(one.error or '')}")
    if failed:
        raise typer.Exit(1)


def _how(one: "Ended") -> str:
    return one.result.how if one.result else "failed"


def _cells(one: "Ended") -> list[str]:
    if one.result is None:
        return ["–", "–", "–"]
    return [str(one.result.version), f"{one.result.seconds / 60:.1f}", str(one.result.num_warnings)]
