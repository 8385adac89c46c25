"""`anomaly evaluate`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from anomaly.cli.console import (
    ALPHA,
    MAX_PIXELS,
    Alpha,
    Data,
    Device,
    Engine,
    Groups,
    MaxPixels,
    Model,
    Normal,
    err,
    made_it,
    names,
    out,
    say,
    say_reasons,
    usage,
    whole_column,
)
from anomaly.cli.data import say_data
from anomaly.cli.progress import CountingBar
from anomaly.counted import counted


def evaluate(
    model: Model,
    data: Data,
    out_: Annotated[Path, typer.Option("--out", help="A folder for metrics.json, scores.csv, roc.png, report.html.")],
    normal: Normal = "",
    groups: Groups = "",
    alpha: Alpha = ALPHA,
    sample: Annotated[
        int | None, typer.Option(help="Use only this many test images, drawn at random by a fixed seed.")
    ] = None,
    device: Device = "auto",
    engine: Engine = "auto",
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Measure a model on labelled images it has never seen, beside PCA and nearest neighbours on the same split."""
    with usage():
        from anomaly.pipeline.evaluate import evaluate_bundle
        from anomaly.pipeline.reading import ReadingWatch

        with CountingBar(err, "Reading") as bar:
            summary = evaluate_bundle(
                model,
                data,
                out_,
                normal=names(normal),
                groups=groups,
                alpha=alpha,
                sample=sample,
                device=device,
                engine=engine,
                max_pixels=max_pixels,
                watch=ReadingWatch(say_data, bar.start, bar.advance),
            )
    say(*summary.remarks)
    if summary.num_seen:
        err.print(made_it(summary.num_seen))
    table = Table(whole_column(""), "", box=None, show_header=False)
    for name, value in summary.numbers().items():
        table.add_row(escape(name), f"{value:.6g}")
    out.print(table)
    out.print(f"report: {escape(str(out_ / 'report.html'))}")
    if summary.num_failed:
        err.print(f"{counted(summary.num_failed, 'file')} could not be read:")
        say_reasons(summary.failures, summary.num_failed, "metrics.json says why")
    if summary.num_masks_failed:
        err.print(f"the masks of {counted(summary.num_masks_failed, 'image')} cannot be used:")
        say_reasons(summary.mask_failures, summary.num_masks_failed, "metrics.json says why")
    say(*summary.verdict, on=out)
    if summary.num_failed or summary.num_masks_failed:
        raise typer.Exit(1)
