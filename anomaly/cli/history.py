"""`anomaly history`: what a server kept becomes a data set."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anomaly.cli.console import err, out, usage
from anomaly.cli.progress import CountingBar
from anomaly.counted import counted
from anomaly.extras import require

LIBRARIES = ("fastapi", "pydantic_settings", "sqlalchemy")

history_app = typer.Typer(help="Use the history that `anomaly serve --history` keeps.", no_args_is_help=True)


Place = Annotated[str, typer.Argument(help="The file, or the URL of the database, of `anomaly serve --history`.")]


@history_app.command("export")
def history_export(
    history: Place,
    images: Annotated[list[Path], typer.Option(help="A folder of the image files as they were sent; may be repeated.")],
    out_: Annotated[Path, typer.Option("--out", help="The manifest to write, a .csv.")],
    teach: Annotated[
        bool, typer.Option("--teach", help="Half of the anomalous images are to teach, with `anomaly refine`.")
    ] = False,
) -> None:
    """Make a data set of corrected images: `anomaly calibrate` reads one part of it, `anomaly evaluate` the other."""
    with usage():
        require("anomaly history export", "server", *LIBRARIES)
        from service.records.history.export import export_corrections
        from service.settings import place_of

        with CountingBar(err, "Looking") as bar:
            made = export_corrections(
                place_of(history), images, out_, teach=teach, on_total=bar.start, on_image=bar.advance
            )
    taught = f"{counted(made.num_teach, 'anomalous image')} to teach; " if teach else ""
    out.print(
        f"wrote {escape(str(out_))}: {counted(made.num_calibrate, 'normal image')} to calibrate with; {taught}to "
        f"evaluate on, {made.num_evaluate_normal} normal and {made.num_evaluate_anomalous} anomalous"
    )
    num_normal = made.num_calibrate + made.num_evaluate_normal
    if made.num_flagged_normals:
        err.print(
            f"{made.num_flagged_normals} of the {num_normal} normal images had been flagged. If more of these than of "
            "others were looked at, thresholds made from them are too high: correct all images of some hours instead"
        )
    if made.num_flagged_anomalous:
        err.print(
            f"{made.num_flagged_anomalous} of the {made.num_evaluate_anomalous} anomalous images had been flagged. If "
            "images that passed were looked at less, defects that the model misses are missing here, and AUROC and the "
            "share that is found look better than they are"
        )
    if made.num_missing:
        err.print(counted(made.num_missing, "corrected image has no file there", "corrected images have no file there"))


@history_app.command("restart-drift")
def history_restart_drift(
    history: Place,
    model: Annotated[str, typer.Argument(help="The name of the model; its digest if no row of it is left.")],
) -> None:
    """Begin a model's drift anew and end its alarm, once the cause is mended. Rows stay."""
    with usage():
        require("anomaly history restart-drift", "server", *LIBRARIES)
        from service.records.history import restart_drift
        from service.settings import place_of

        num = restart_drift(place_of(history), model)
    out.print(
        f"the drift of {escape(model)} begins anew, in {counted(num, 'version')}"
        if num
        else f"{escape(model)} has no drift"
    )
