"""`anomaly refine`."""

from typing import Annotated

import typer
from rich.markup import escape

from anomaly.cli.console import (
    ALPHA,
    MAX_PIXELS,
    Alpha,
    Data,
    Device,
    MaxPixels,
    Model,
    Normal,
    err,
    groups_option,
    left_out,
    names,
    needs_torch,
    out,
    say,
    to_go_back,
    usage,
)
from anomaly.cli.data import say_data
from anomaly.cli.progress import TrainingBar


def refine(
    model: Model,
    data: Data,
    normal: Normal = "",
    defects: Annotated[
        str | None, typer.Option(help="More labelled defects: a folder of defective images alone, or a manifest.")
    ] = None,
    groups: Annotated[
        str, groups_option(effect="No defect is judged by what other pictures of its part have taught.")
    ] = "",
    alpha: Alpha = ALPHA,
    device: Device = "auto",
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Teach a model on pretrained features a few labelled defects as well, and write a new version.

    DATA has the normal images that the model was made from. The defects lie in
    a folder of their own, as train/scratch beside train/good, in a manifest,
    or elsewhere: --defects FOLDER. Masks help, and may be missing. No image of
    a test split is used.
    """
    with usage():
        needs_torch("refining a model")
        from anomaly.calibration import check_alpha
        from anomaly.pipeline.refine import RefineWatch, refine_bundle

        alpha = check_alpha(alpha)
        with TrainingBar(err, None) as bar:
            summary = refine_bundle(
                model,
                data,
                normal=names(normal),
                defects=defects,
                groups=groups,
                alpha=alpha,
                device=device,
                max_pixels=max_pixels,
                watch=RefineWatch(say_data, bar.start, bar.advance, bar.progress, bar.warn),
            )
    say(*summary.remarks, *summary.sentences())
    bundle, calibration = summary.bundle, summary.bundle.contents.calibration
    if summary.failures:
        err.print(left_out(len(summary.failures), bundle))
    out.print(f"wrote {escape(str(bundle.ref.path))}")
    out.print(calibration.shortage(alpha) or f"threshold at alpha {alpha:g}: {calibration.threshold(alpha):.6g}")
    err.print(to_go_back(bundle))
