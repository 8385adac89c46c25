"""`anomaly watch`."""

import signal
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated

import typer
from rich.markup import escape

from anomaly.cli.console import ALPHA, MAX_PIXELS, Alpha, Device, Engine, MaxPixels, Model, out, say, usage


def watch(
    model: Model,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where images are dropped, at any depth.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="FILE|ADDRESS",
            help="Where reports go: a .csv or .jsonl file that grows, https://HOST/PATH, or mqtt://HOST/TOPIC "
            "(mqtts:// with TLS).",
        ),
    ],
    move_to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Move reported images into normal/, anomalous/ and errors/ in this folder."),
    ] = None,
    settle: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.0, help="A file unchanged for so long is whole.")
    ] = 1.0,
    poll: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.05,
            help="Look every so many seconds instead of waiting for the system's events: for network drives.",
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What was accepted and reported. Default: .anomaly-watch.sqlite in FOLDER; for network drives give "
            "a file on a local disk.",
        ),
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The secret that signs webhooks, in base64. Or set ANOMALY_WATCH_SECRET."),
    ] = None,
    alpha: Alpha = ALPHA,
    device: Device = "auto",
    engine: Engine = "auto",
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Score images as they are dropped into a folder, and report each at least once, with an id.

    Ctrl-C or SIGTERM ends it when what was accepted is reported; a second Ctrl-C at once. Nothing is lost by either.
    """
    with usage():
        from anomaly.watch.targets.webhook import shown
        from anomaly.watch.watching import WatchOptions, watch_folder

        options = WatchOptions(
            model=model,
            folder=folder,
            to=to,
            move_to=move_to,
            journal=journal,
            poll_s=poll,
            settle_s=settle,
            secret_file=secret_file,
            alpha=alpha,
            device=device,
            engine=engine,
            max_pixels=max_pixels,
        )
        summary = watch_folder(
            options,
            _stop_by_signals(),
            say=say,
            on_ready=lambda: out.print(
                f"watching {escape(str(folder))}; reports go to {escape(shown(to))}; Ctrl-C ends it"
            ),
        )
    waiting = f"; {summary.num_waiting} wait in the journal for the next start" if summary.num_waiting else ""
    has_none = summary.num_reported > summary.num_failed and not summary.num_judged
    verdicts = "no verdicts" if has_none else f"{summary.num_anomalous} anomalous"
    out.print(f"{summary.num_reported} reported: {verdicts}, {summary.num_failed} without a score{waiting}")
    if summary.num_waiting:
        raise typer.Exit(1)


def _stop_by_signals() -> Event:
    """Set by the first Ctrl-C or SIGTERM. A second one does what it always does."""
    stop = Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    return stop
