"""`anomaly calibrate`."""

from rich.markup import escape

from anomaly.cli.console import Alpha, Data, Device, Model, Normal, err, names, note, out, usage
from anomaly.cli.progress import ImageBar


def calibrate(model: Model, data: Data, normal: Normal = "", alpha: Alpha = 0.05, device: Device = "auto") -> None:
    """Give a model the ranks of new normal images, as a new version; nothing is retrained."""
    with usage():
        from anomaly.calibration import check_alpha
        from anomaly.pipeline import calibrate_bundle

        check_alpha(alpha)
        with ImageBar(err, "Calibrating") as bar:
            summary = calibrate_bundle(
                model,
                data,
                normal=names(normal),
                device=device,
                on_reading=bar.start,
                on_image=bar.advance,
                on_note=note,
            )
    bundle, calibration = summary.bundle, summary.bundle.contents.calibration
    if summary.num_seen:
        err.print(f"{summary.num_seen} images were left out: the model was made from them")
    if summary.num_failed:
        err.print(f"{summary.num_failed} files could not be read and were left out")
    out.print(f"wrote {escape(str(bundle.ref.path))} with {calibration.num_calibration} calibration images")
    threshold = calibration.threshold(alpha)
    out.print(calibration.shortage(alpha) or f"threshold at alpha {alpha:g}: {threshold:.6g}")
