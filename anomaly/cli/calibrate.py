"""`anomaly calibrate`."""

from typing import TYPE_CHECKING

from rich.markup import escape

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
    left_out,
    made_it,
    names,
    out,
    say,
    to_go_back,
    usage,
    warn,
)
from anomaly.cli.data import say_data
from anomaly.cli.progress import CountingBar
from anomaly.counted import counted

if TYPE_CHECKING:
    from anomaly.pipeline.calibrate import CalibrationSummary


def calibrate(
    model: Model,
    data: Data,
    normal: Normal = "",
    groups: Groups = "",
    alpha: Alpha = ALPHA,
    device: Device = "auto",
    engine: Engine = "auto",
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Compute thresholds from new normal images, and write a new version; nothing is retrained."""
    with usage():
        from anomaly.calibration import check_alpha
        from anomaly.pipeline.calibrate import calibrate_bundle
        from anomaly.pipeline.reading import ReadingWatch

        alpha = check_alpha(alpha)
        with CountingBar(err, "Calibrating") as bar:
            summary = calibrate_bundle(
                model,
                data,
                normal=names(normal),
                groups=groups,
                device=device,
                engine=engine,
                max_pixels=max_pixels,
                watch=ReadingWatch(say_data, bar.start, bar.advance),
            )
    bundle, calibration = summary.bundle, summary.bundle.contents.calibration
    say(*summary.remarks)
    if summary.num_seen:
        err.print(made_it(summary.num_seen))
    if summary.num_copies:
        err.print(
            counted(
                summary.num_copies,
                "image was left out: it is an exact copy of another",
                "images were left out: they are exact copies of others",
            )
        )
    if summary.num_unused:
        err.print(
            f"{counted(summary.num_unused, 'image was', 'images were')} left out: one picture of each part "
            "calibrates, and none of a part that the model was made from"
        )
    if summary.num_failed:
        err.print(left_out(summary.num_failed, bundle))
    out.print(f"wrote {escape(str(bundle.ref.path))} with {counted(calibration.num_calibration, 'calibration image')}")
    threshold = calibration.threshold(alpha)
    out.print(calibration.shortage(alpha) or f"threshold at alpha {alpha:g}: {threshold:.6g}")
    warnings = _warnings(summary, alpha)
    for warning in warnings:
        warn(f"{warning}.")
    if warnings:
        err.print(to_go_back(bundle))


def _warnings(summary: "CalibrationSummary", alpha: float) -> list[str]:
    """Why the version before may be the better one."""
    from anomaly.calibration import num_allowed, num_needed

    new, old = summary.bundle, summary.old
    calibration, num_before = new.contents.calibration, old.contents.calibration.num_calibration
    warnings = [summary.unlike] if summary.unlike else []
    if calibration.threshold(alpha) is None and num_allowed(alpha, num_before):
        warnings.append(
            f"at a false-alarm rate of {alpha:g} the model gives no verdicts any more. That needs at least "
            f"{counted(num_needed(alpha), 'calibration image')}. Version {new.version}, which is current now, has "
            f"{calibration.num_calibration}; version {old.version} has {num_before}. Calibrate "
            f"{old.ref.path} with more normal images"
        )
    return warnings
