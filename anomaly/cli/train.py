"""`anomaly train`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anomaly.cli.console import (
    MAX_PIXELS,
    Data,
    err,
    groups_option,
    left_out,
    max_pixels_option,
    names,
    needs_torch,
    out,
    region_option,
    say,
    usage,
)
from anomaly.cli.data import say_data
from anomaly.cli.progress import TrainingBar

_RECIPE, _RUN, _MACHINE = "What is learnt", "This run", "Machine and files"


def train(
    data: Data,
    out_: Annotated[Path, typer.Option("--out", metavar="models/NAME", help="Holds the new version.")],
    recipe: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.toml",
            help="What `anomaly recipes list` shows, or a file; auto, the default: chosen by the images.",
            show_default=False,
            rich_help_panel=_RECIPE,
        ),
    ] = "auto",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.FIELD=VALUE",
            help="One field of the recipe; may be repeated. `anomaly recipes show NAME` has them all.",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    normal: Annotated[
        str, typer.Option(metavar="A,B", help="The normal classes, where DATA has classes.", rich_help_panel=_RECIPE)
    ] = "",
    groups: Annotated[str, groups_option(_RECIPE)] = "",
    max_pixels: Annotated[int, max_pixels_option(_RECIPE)] = MAX_PIXELS,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS", help="The side that images are scaled to: preprocess.size.", rich_help_panel=_RECIPE
        ),
    ] = None,
    region: Annotated[Path | None, region_option(_RECIPE)] = None,
    init_decoder: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL", help="Begin G as the decoder of this bundle, an autoencoder's.", rich_help_panel=_RECIPE
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Training steps: training.steps.", rich_help_panel=_RUN)
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            metavar="M",
            help="End the steps after this many minutes, with what is learnt by then. Reading, pretrained maps, "
            "calibrating and measuring take further time.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seed of every random draw: training.seed.", rich_help_panel=_RUN),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from this run's last checkpoint.", rich_help_panel=_RUN)
    ] = False,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_MACHINE)
    ] = "auto",
    nproc: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Processes that share a batch; one for each GPU.",
            show_default=False,
            rich_help_panel=_MACHINE,
        ),
    ] = 1,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the curves as TensorBoard's files.", rich_help_panel=_MACHINE),
    ] = None,
) -> None:
    """Learn from normal images, calibrate on others, and write a new bundle version."""
    with usage():
        needs_torch("anomaly train")
        from anomaly.pipeline.train import TrainOptions, TrainWatch, train_bundle
        from anomaly.recipes import options_of
        from anomaly.training import is_follower

        options = TrainOptions(
            data=data,
            out=out_,
            recipe=recipe,
            overrides=options_of(set_ or (), size=size, steps=steps, seed=seed),
            normal=names(normal),
            groups=groups,
            region=region,
            init_decoder=init_decoder,
            max_minutes=max_minutes,
            device=device,
            resume=resume,
            tensorboard=tensorboard,
            max_pixels=max_pixels,
            command=_command(),
            nproc=nproc,
        )
        out.quiet = err.quiet = is_follower()
        with TrainingBar(err, max_minutes) as bar:
            watch = TrainWatch(
                on_data=say_data,
                on_recipe=bar.recipe,
                on_warning=bar.warn,
                on_reading=bar.start,
                on_image=bar.advance,
                on_progress=bar.progress,
                on_step=bar.step,
                on_calibrating=bar.calibrating,
                on_measuring=bar.measuring,
            )
            try:
                summary = train_bundle(options, watch)
            except KeyboardInterrupt as stop:
                notes = getattr(stop, "__notes__", ["--resume goes on from the last checkpoint, if there is one"])
                err.print(f"stopped; {'; '.join(notes)}")
                raise
    bundle = summary.bundle
    out.print(f"wrote {escape(str(bundle.ref.path))} (version {bundle.version}, digest {bundle.digest[:12]})")
    say(*summary.sentences(), on=out)
    if bundle.manifest.data.num_left_out:
        err.print(left_out(bundle.manifest.data.num_left_out, bundle))
    if bundle.manifest.warnings:
        err.print(f"warnings of this training stand in the model card, {escape(str(bundle.ref.path / 'README.md'))}")


def _command() -> str:
    """What was typed, as a bundle records it: without --resume, for a resumed run makes what a whole one makes."""
    return shlex.join(["anomaly", *(word for word in sys.argv[1:] if word != "--resume")])
