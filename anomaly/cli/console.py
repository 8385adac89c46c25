"""What all verbs share: the two consoles, arguments that several have, and what becomes of a user's mistake."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Column

from anomaly.counted import counted
from anomaly.defaults import ALPHA as ALPHA
from anomaly.defaults import MAX_PIXELS as MAX_PIXELS
from anomaly.defaults import MAX_REASONS, PIL_MAX_PIXELS
from anomaly.errors import AnomalyError, UsageError
from anomaly.extras import WITH_TORCH, require
from anomaly.shares import read_share

if TYPE_CHECKING:
    from anomaly.bundle import Bundle

out, err = Console(soft_wrap=True, highlight=False), Console(stderr=True, soft_wrap=True, highlight=False)

Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A bundle: models/NAME (its current version) or models/NAME/VERSION.")
]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder of normal images; an MVTec-style tree; a folder per class or MNIST's IDX files (with --normal); "
        "a CSV manifest (path,label,split,mask,kind,group); or 'digits', built in.",
    ),
]
Normal = Annotated[str, typer.Option(help="The classes that are normal, comma-separated, where DATA has classes.")]


def groups_option(panel: str | None = None, effect: str = "A part's pictures stay together, and count as one.") -> Any:
    """`--groups`, in a panel of the help text that is not the first; `effect` is what is done with parts."""
    return typer.Option(
        metavar="group|REGEX",
        help="The part an image shows: the manifest's column 'group', or a regular expression for file names (its "
        f"first group). {effect}",
        rich_help_panel=panel,
    )


def region_option(panel: str | None = None) -> Any:
    """`--region`, likewise."""
    return typer.Option(
        metavar="MASK.png|POLYGONS.json",
        help="Only what lies inside counts: in training, calibration, scores and heatmaps. `anomaly region` proposes a "
        "mask.",
        rich_help_panel=panel,
    )


def max_pixels_option(panel: str | None = None) -> Any:
    """`--max-pixels`, likewise."""
    return typer.Option(
        metavar="N",
        min=1,
        max=PIL_MAX_PIXELS,
        help="Refuse larger images. Above 64 million they are read one at a time, in about 32 bytes a pixel at most.",
        rich_help_panel=panel,
    )


Groups = Annotated[str, groups_option()]
Region = Annotated[Path | None, region_option()]
Engine = Annotated[
    str,
    typer.Option(
        help="auto, torch or onnxruntime; auto is ONNX Runtime on a CPU, and torch for latent searches and GPUs."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
MaxPixels = Annotated[int, max_pixels_option()]


def share(text: str | float) -> float:
    """What an option for a share is given. Raises typer.BadParameter, with an example."""
    try:
        return read_share(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Alpha = Annotated[
    float,
    typer.Option(
        parser=share, metavar="SHARE", help="The false-alarm rate: the share of normal images that may be flagged."
    ),
]
Fdr = Annotated[
    float | None,
    typer.Option(
        parser=share,
        metavar="SHARE",
        help="Also flag so that on average at most this share of the flagged are false alarms.",
    ),
]


@contextmanager
def usage() -> Iterator[None]:
    """A user's mistake, or the machine's refusal, is one sentence on standard error and exit code 2."""
    try:
        yield
    except (AnomalyError, OSError) as error:  # OSError: no permission, …; its text names the file
        err.print(f"[bold red]error:[/] {escape(str(error))}")
        raise typer.Exit(2) from error
    except ValidationError as error:
        from anomaly.config.mistakes import mistakes_of

        for mistake in mistakes_of(error):
            err.print(f"[bold red]error:[/] {escape(mistake.sentence)}")
        raise typer.Exit(2) from error


def whole_column(name: str) -> Column:
    """A table's column of names that users have given, which are never cut."""
    return Column(name, overflow="fold")


def say(*sentences: str, on: Console = err) -> None:
    """Print each in a line of its own as it is: what looks like rich's markup is a user's, as in a file's name."""
    for sentence in sentences:
        on.print(escape(sentence))


def warn(warning: str, on: Console = err) -> None:
    """Print a warning, and that it is one."""
    on.print(f"[bold yellow]warning:[/] {escape(warning)}")


def say_reasons(reasons: Sequence[str], num: int, where: str) -> None:
    """The first reasons of `num` on standard error, and `where` the others are."""
    say(*reasons[:MAX_REASONS])
    if num > MAX_REASONS:
        err.print(f"and {num - MAX_REASONS:,} more: {escape(where)}")


def made_it(num: int) -> str:
    """How many images are left out because the model was made from them."""
    return counted(
        num,
        "image was left out: the model was made from it",
        "images were left out: the model was made from them",
    )


def to_go_back(bundle: "Bundle") -> str:
    """How a version that has just been written is undone."""
    return (
        f"To go back, delete the folder {escape(str(bundle.ref.path))}: then the version before it is current, as "
        "`anomaly models list` shows"
    )


def needs_torch(verb: str) -> None:
    """Raises UsageError where a library is not installed by which networks are trained, drawn from or written down."""
    require(verb, "torch", *WITH_TORCH)


def names(comma_separated: str) -> tuple[str, ...]:
    """The words of a list as options have it, none of a list that was not given.

    Raises:
        UsageError: it was given, and has nothing but commas, as where shell variables are not set.
    """
    found = tuple(name.strip() for name in comma_separated.split(",") if name.strip())
    if comma_separated and not found:
        raise UsageError(f"'{comma_separated}' is a list without a name; give names, such as A,B, or leave it away")
    return found


def unread(num_files: int) -> str:
    """How many files could not be read and were, as what follows says, left out."""
    return counted(num_files, "file could not be read and was", "files could not be read and were")


def left_out(num_files: int, bundle: "Bundle") -> str:
    """The sentence about files that could not be read when a bundle was made, and where they are named."""
    return f"{unread(num_files)} left out; {escape(str(bundle.ref.left_out))} says which and why"
