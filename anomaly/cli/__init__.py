"""The command line: parses, calls the pipeline, prints. No torch is imported before a command needs it.

Exit codes: 0 done; 1 done, but some inputs could not be scored; 2 wrong usage, or nothing could be done.
"""

from importlib.metadata import version
from typing import Annotated

import typer

from anomaly.cli.archive import archive
from anomaly.cli.calibrate import calibrate
from anomaly.cli.console import out
from anomaly.cli.data import data
from anomaly.cli.empty import RefusesEmpty
from anomaly.cli.evaluate import evaluate
from anomaly.cli.export import export
from anomaly.cli.history import history_app
from anomaly.cli.inspect import inspect
from anomaly.cli.keys import keys_app
from anomaly.cli.models import models_app
from anomaly.cli.recipes import recipes_app
from anomaly.cli.refine import refine
from anomaly.cli.region import region
from anomaly.cli.score import score
from anomaly.cli.serve import serve
from anomaly.cli.streams import make_lenient
from anomaly.cli.train import train
from anomaly.cli.train_many import train_many
from anomaly.cli.watch import watch


class _Program(typer.Typer):
    """To print never ends a command."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        make_lenient()
        return super().__call__(*args, **kwargs)


app = _Program(
    cls=RefusesEmpty,
    help="Learns what normal images look like from normal images alone, and tells of any new image how abnormal it is.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        out.print(version("anomaly"))
        raise typer.Exit


@app.callback()
def program(
    version_: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """What comes before a command."""


for verb in (
    data,
    region,
    train,
    train_many,
    calibrate,
    refine,
    score,
    evaluate,
    inspect,
    serve,
    watch,
    archive,
    export,
):
    app.command()(verb)
for name, verbs in {"recipes": recipes_app, "models": models_app, "keys": keys_app, "history": history_app}.items():
    app.add_typer(verbs, name=name)

__all__ = ["app"]
