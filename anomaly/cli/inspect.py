"""`anomaly inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from anomaly.cli.console import (
    MAX_PIXELS,
    Device,
    MaxPixels,
    Model,
    Normal,
    err,
    names,
    needs_torch,
    out,
    say,
    say_reasons,
    unread,
    usage,
)
from anomaly.cli.progress import CountingBar


def inspect(
    model: Model,
    data: Annotated[
        str | None,
        typer.Argument(help="Images to reconstruct, as for evaluate or train. Default: the bundle's golden images."),
    ] = None,
    *,
    out_: Annotated[
        Path,
        typer.Option(
            "--out",
            help="A folder for samples.png, walk.png, reconstructions.png (or heatmaps.png), curves.png, "
            "detectability.png.",
        ),
    ],
    normal: Normal = "",
    device: Device = "auto",
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Draw what a model has learnt: samples, walks among latents, reconstructions, curves, smallest defects found."""
    with usage():
        needs_torch("anomaly inspect")
        from anomaly.pipeline.inspect import inspect_bundle

        with CountingBar(err, "Reading") as bar:
            summary = inspect_bundle(
                model,
                data,
                out_,
                normal=names(normal),
                device=device,
                max_pixels=max_pixels,
                on_reading=bar.start,
                on_image=bar.advance,
            )
    say(*map(str, summary.paths), on=out)
    say(*summary.remarks)
    if summary.num_failed:
        say(f"{unread(summary.num_failed)} left out:")
        say_reasons(summary.failures, summary.num_failed, "anomaly score says why")
        raise typer.Exit(1)
