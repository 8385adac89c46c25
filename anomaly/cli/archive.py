"""`anomaly archive`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from anomaly.cli.console import ALPHA, MAX_PIXELS, Alpha, Device, Engine, Fdr, MaxPixels, err, out, say, usage
from anomaly.cli.progress import ArchiveBar
from anomaly.counted import counted
from anomaly.errors import UsageError

if TYPE_CHECKING:
    from anomaly.distributed.archive import ArchiveOptions


def archive(
    model: Annotated[
        Path | None, typer.Argument(metavar="MODEL", help="A bundle: models/NAME or models/NAME/VERSION.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SRC",
            help="Shards: tar files, Parquet files, folders of images. A folder with these at any depth, s3://…, "
            "gs://…, one shard, or a .txt file that names one in each line.",
        ),
    ] = None,
    out_: Annotated[
        str | None,
        typer.Option("--out", metavar="DEST", help="A folder, s3://… or gs://…: a Parquet file for each shard."),
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster, HOST:PORT or auto. Default: this machine.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="How many workers, of one core each. Default: as there is room for."),
    ] = None,
    gpus_per_worker: Annotated[
        float, typer.Option(metavar="G", min=0.0, help="GPUs of each worker; 0.5: two workers share one.")
    ] = 0.0,
    fdr: Fdr = None,
    alpha: Alpha = ALPHA,
    device: Device = "auto",
    engine: Engine = "auto",
    max_pixels: MaxPixels = MAX_PIXELS,
    status: Annotated[str | None, typer.Option(metavar="DEST", help="Say what is done there, and end.")] = None,
    report: Annotated[
        str | None,
        typer.Option(metavar="DEST", help="Write DEST/_report.html: histograms, shards, the hundred strangest images."),
    ] = None,
) -> None:
    """Score an archive of any size, shard by shard, on this machine or a Ray cluster; to go on, run it again."""
    with usage():
        if sum(each is not None for each in (out_, status, report)) != 1:
            raise UsageError("give MODEL, SRC and --out DEST; or --status DEST; or --report DEST")
        if status is not None:
            _tell_status(status)
            return
        if report is not None:
            from anomaly.distributed.report import report_archive

            out.print(f"{escape(report_archive(report, model=model, device=device, engine=engine))} is written")
            return
        if model is None or source is None or out_ is None:
            raise UsageError("give MODEL, SRC and --out DEST")
        from anomaly.distributed.archive import ArchiveOptions
        from anomaly.distributed.workers import Workers

        options = ArchiveOptions(
            model=model,
            source=source,
            out=out_,
            workers=Workers(workers, ray, gpus=gpus_per_worker),
            alpha=alpha,
            fdr=fdr,
            device=device,
            engine=engine,
            max_pixels=max_pixels,
        )
        _score(options)


def _score(options: "ArchiveOptions") -> None:
    from anomaly.distributed.archive import score_archive

    with ArchiveBar(err) as bar:
        try:
            summary = score_archive(
                options, on_total=bar.start, on_shard=bar.shard, on_marking=bar.marking, on_marked=bar.advance
            )
        except KeyboardInterrupt:
            err.print("stopped; the results of whole shards are kept, and the same command goes on from there")
            raise
    tally = summary.tally
    say(*summary.shortages)
    say(*(reason if reason.startswith(name) else f"{name}: {reason}" for name, reason in tally.failed.items()))
    say(*(f"{num:,} × {kind}" for kind, num in tally.errors.most_common()))
    if tally.num_left_out:
        err.print(
            f"left out of folders: {counted(tally.num_left_out, 'mask or drawn picture', 'masks or drawn pictures')}"
        )
    say(*tally.remarks.sentences(), *summary.others.sentences(options.out))
    num_done = tally.num_shards - tally.num_shards_failed
    before = f", {tally.num_rows - tally.num_scored:,} of them before" if tally.num_scored < tally.num_rows else ""
    out.print(
        f"{num_done:,} of {tally.num_shards:,} shards in {escape(options.out)}: "
        f"{counted(tally.num_rows, 'row')}{before}, "
        f"{_verdicts(summary.num_anomalous)}, {tally.num_failed:,} without a score; "
        f"{tally.images_per_second:,.0f} images/s"
    )
    if tally.num_failed or tally.num_shards_failed:
        is_nothing = tally.num_rows == tally.num_failed
        raise typer.Exit(2 if is_nothing else 1)


def _tell_status(destination: str) -> None:
    from anomaly.distributed.status import status_of

    found = status_of(destination)
    out.print(f"{found.num_done:,} of {found.num_shards:,} shards of {escape(found.source)} are done")
    if found.num_outdated:
        out.print(f"{found.num_outdated:,} have results of another model, other options or an older input")
    say(*found.others.sentences(destination), on=out)
    if found.manifest is None:
        out.print("the run has not ended: there is no _manifest.json; run the same command to go on")
        return
    manifest = found.manifest
    out.print(
        f"the run has ended: {counted(manifest['num_rows'], 'row')}, {_verdicts(manifest['num_anomalous'])}, "
        f"{manifest['num_failed']:,} without a score, {counted(manifest['num_shards_failed'], 'shard')} without results"
    )


def _verdicts(num_anomalous: int | None) -> str:
    return "no verdicts" if num_anomalous is None else f"{num_anomalous:,} anomalous"
