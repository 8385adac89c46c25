"""`anomaly inspect`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

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
    say_reasons,
    usage,
)
from anomaly.cli.progress import CountingBar
from anomaly.counted import counted


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
    for path in summary.paths:
        out.print(escape(str(path)))
    for remark in summary.remarks:
        err.print(escape(remark))
    if summary.num_failed:
        err.print(
            f"{counted(summary.num_failed, 'file could not be read and was', 'files could not be read and were')} "
            "left out:"
        )
        say_reasons(summary.failures, summary.num_failed, "anomaly score says why")
        raise typer.Exit(1)
