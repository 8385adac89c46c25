"""`anomaly score`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anomaly.cli.console import (
    ALPHA,
    MAX_PIXELS,
    Alpha,
    Device,
    Engine,
    Fdr,
    MaxPixels,
    Model,
    err,
    out,
    say,
    say_reasons,
    usage,
)
from anomaly.cli.progress import CountingBar
from anomaly.counted import counted


def score(
    model: Model,
    inputs: Annotated[list[str], typer.Argument(help="Images, or folders of images.")],
    out_: Annotated[Path, typer.Option("--out", help="The results: .csv, .jsonl or .parquet.")],
    alpha: Alpha = ALPHA,
    fdr: Fdr = None,
    heatmaps: Annotated[Path | None, typer.Option(help="Draw each image with its heatmap into this folder.")] = None,
    device: Device = "auto",
    engine: Engine = "auto",
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Score images: one row for each, with its score, p-value and verdict, or the reason why it has none."""
    with usage():
        from anomaly.data import Why, left_out_sentences
        from anomaly.pipeline.score import score_paths

        with CountingBar(err, "Scoring") as bar:
            summary = score_paths(
                model,
                inputs,
                out_,
                alpha=alpha,
                fdr=fdr,
                heatmaps=heatmaps,
                device=device,
                engine=engine,
                max_pixels=max_pixels,
                on_total=bar.start,
                on_image=bar.advance,
            )
    say(*summary.remarks, *summary.shortages, *left_out_sentences(summary.left_out))
    say_reasons(summary.reasons, summary.num_failed, "see the column error")
    num_skipped = len(summary.left_out)
    skipped = f", {counted(num_skipped, 'other file')} skipped" if num_skipped else ""
    verdicts = "no verdicts" if summary.num_anomalous is None else f"{summary.num_anomalous:,} anomalous"
    out.print(
        f"{counted(summary.num_rows, 'row')} in {escape(str(out_))}: {verdicts}, "
        f"{summary.num_failed:,} without a score{skipped}"
    )
    if summary.num_failed or any(file.why is Why.UNREADABLE for file in summary.left_out):
        raise typer.Exit(2 if summary.num_failed == summary.num_rows else 1)
