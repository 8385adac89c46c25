"""`anomaly recipes list`, `anomaly recipes show` and `anomaly recipes try`."""

import json
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from anomaly.cli.console import (
    MAX_PIXELS,
    Data,
    Groups,
    MaxPixels,
    Normal,
    Region,
    err,
    names,
    needs_torch,
    out,
    say,
    usage,
    whole_column,
)
from anomaly.cli.data import say_data
from anomaly.counted import counted, percent

if TYPE_CHECKING:
    from anomaly.pipeline.contests import Contest, Trial

recipes_app = typer.Typer(help="What `anomaly train --recipe` can be told.", no_args_is_help=True)


@recipes_app.command("list")
def recipes_list() -> None:
    """Every recipe that is shipped, with its first sentence."""
    with usage():
        from anomaly.recipes import read_recipe, recipe_names

        files = [read_recipe(name) for name in recipe_names()]
    table = Table.grid(padding=(0, 2))
    for file in files:
        table.add_row(file.name, escape(file.first_sentence))
    out.print(table)


@recipes_app.command("show")
def recipes_show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.toml", help="A recipe that is shipped, or a file.")],
) -> None:
    """A recipe as a file that --recipe takes: what it sets, and as comments all other fields with their values.

    The side, the channels and the range follow from the images where the recipe
    does not set them.
    """
    with usage():
        from anomaly.recipes import BY_IMAGES, check_read, read_recipe, to_recipe

        file = read_recipe(name)
        recipe = to_recipe(file.sections)
        check_read(file.sections if file.is_own else {}, recipe)
        sections = recipe.model_dump(mode="json")
    for line in file.about:
        out.print(f"# {line}", markup=False)
    for section, fields in sections.items():
        if fields is None:
            out.print(f"\n# [{section}] is left away: there is none", markup=False)
            continue
        is_given = section in file.sections
        out.print(f"\n{'' if is_given else '# '}[{section}]", markup=False)
        for field, value in fields.items():
            is_set, is_open = (field in each.get(section, {}) for each in (file.sections, BY_IMAGES))
            out.print(_line(field, value, is_set=is_set, is_open=is_open), markup=False)


@recipes_app.command("try")
def recipes_try(
    data: Data,
    *,
    recipes: Annotated[
        str, typer.Option(metavar="A,B", help="Recipes to compare, names or files. Default: by the images.")
    ] = "",
    minutes: Annotated[
        float, typer.Option(metavar="M", min=0.0, help="For the steps of each training; reading images comes on top.")
    ] = 2.0,
    normal: Normal = "",
    groups: Groups = "",
    region: Region = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the draw and of the trainings.")] = 0,
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Which recipe suits these normal images: train two or three briefly, and compare them.

    One normal image in five is held out, at most 60. They are spoilt by
    program: defects are drawn into them, or a part of the picture is put at a
    wrong place. A recipe is judged by how well it tells these from the same
    images as they were. No test image is read, and nothing is kept.

    The defects are not yours. The first recipe is named unless a later one is
    better, by more than chance explains on these images, and no worse by
    either way of spoiling. If you know which defects come, go by that column.
    Where two are alike, take the faster one.
    """
    with usage():
        needs_torch("anomaly recipes try")
        from anomaly.pipeline.trial import TrialOptions, try_recipes

        options = TrialOptions(
            data=data,
            recipes=names(recipes),
            normal=names(normal),
            groups=groups,
            region=region,
            minutes=minutes,
            device=device,
            seed=seed,
            max_pixels=max_pixels,
        )
        with err.status("looking at the images") as status:

            def on_trial(name: str) -> None:
                status.update(f"trying {escape(name)}")
                if not err.is_terminal:  # where no status is seen
                    err.print(f"trying {escape(name)}")

            summary = try_recipes(options, say_data, on_trial)
    heads = ("AUROC", "95% interval", "drawn", "misplaced", "trained", "an image")
    table = Table(whole_column("recipe"), *heads, box=None, pad_edge=False)
    for trial in summary.trials:
        table.add_row(escape(trial.name), *_cells(trial))
    out.print(table)
    for trial in summary.trials:
        if trial.failure:
            say(f"{trial.name} cannot be tried: {trial.failure}", on=out)
    parts = "" if summary.num_parts is None else f" of {counted(summary.num_parts, 'part')}"
    out.print(
        f"trained on {counted(summary.num_learnt, 'normal image')}; judged on {summary.num_judged:,} others"
        f"{parts}, as they are and spoilt: with drawn defects, or a part of them misplaced"
    )
    say(*map(_told, summary.contests), on=out)
    if any(trial.figures is not None and trial.figures.is_cut_short for trial in summary.trials):
        out.print("* cut short by --minutes, so it may be better than told here")
    if summary.best is None:
        raise typer.Exit(1)
    best = summary.best.name
    given = {"--normal": normal, "--groups": groups, "--region": "" if region is None else str(region)}
    given["--max-pixels"] = "" if max_pixels == MAX_PIXELS else str(max_pixels)
    more = [word for option, value in given.items() if value for word in (option, value)]
    command = shlex.join(["anomaly", "train", data, "--recipe", best, *more, "--out", "models/NAME"])
    say(f"choose {best}: {command}", on=out)


def _told(contest: "Contest") -> str:
    """A later recipe beside the one that it would replace."""
    from anomaly.pipeline.contests import ContestOutcome

    stays = f"so {contest.best.name} stays"
    why = {
        ContestOutcome.BETTER: "better, beyond chance",
        ContestOutcome.WORSE: f"worse, {stays}",
        ContestOutcome.NOT_CLEARLY: f"not clearly better, {stays}",
        ContestOutcome.BY_CHANCE: f"that may be chance, {stays}",
        ContestOutcome.WORSE_BY_ONE: f"but clearly worse by one way of spoiling, {stays}",
    }[contest.outcome]
    lead, low, high = (f"{round(100 * share, 1) + 0.0:+.1f}" for share in (contest.lead, *contest.interval))
    beside = f"{contest.later.name} against {contest.best.name}"
    return f"{beside}: {lead} points of AUROC (95% interval {low} to {high}): {why}"


def _cells(trial: "Trial") -> list[str]:
    figures = trial.figures
    if figures is None:
        return ["–"] * 6
    low, high = figures.interval
    return [
        percent(figures.auroc),
        f"{percent(low)} to {percent(high)}",
        percent(figures.drawn),
        percent(figures.moved),
        f"{figures.train_s:.0f} s{'*' * figures.is_cut_short}",
        f"{figures.score_ms:.1f} ms",
    ]


def _line(field: str, value: Any, *, is_set: bool, is_open: bool) -> str:
    """A field as TOML, which has no null; what the recipe does not set is a comment, and may be `is_open`."""
    given = f"{field} = {json.dumps(value, ensure_ascii=False)}"
    if is_set:
        return given
    if is_open:
        return f"# {field}: by the images"
    return f"# {field}: not set" if value is None else f"# {given}"
