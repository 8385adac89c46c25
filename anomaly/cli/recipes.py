"""`anomaly recipes list` and `anomaly recipes show`."""

import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from anomaly.cli.console import out, usage

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

    The side and the channels follow from the images where the recipe does not set them.
    """
    with usage():
        from anomaly.recipes import read_recipe, to_recipe

        file = read_recipe(name)
        sections = to_recipe(file.sections).model_dump(mode="json")
    for line in file.about:
        out.print(f"# {line}", markup=False)
    for section, fields in sections.items():
        if fields is None:
            out.print(f"\n# [{section}] is left away: there is none", markup=False)
            continue
        is_given = section in file.sections
        out.print(f"\n{'' if is_given else '# '}[{section}]", markup=False)
        for field, value in fields.items():
            out.print(_line(section, field, value, is_set=field in file.sections.get(section, {})), markup=False)


def _line(section: str, field: str, value: Any, *, is_set: bool) -> str:
    """A field as TOML, which has no null; what the recipe does not set is a comment."""
    if is_set:
        return f"{field} = {json.dumps(value, ensure_ascii=False)}"
    if section == "preprocess" and field in ("size", "channels"):
        return f"# {field} =  # by the images"
    return f"# {field} = {'' if value is None else json.dumps(value, ensure_ascii=False)}"
