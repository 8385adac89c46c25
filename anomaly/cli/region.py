"""`anomaly region`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anomaly.cli.console import MAX_PIXELS, Data, MaxPixels, Normal, err, names, out, say, usage
from anomaly.cli.data import say_data


def region(
    data: Data,
    *,
    out_: Annotated[Path, typer.Option("--out", metavar="MASK.png", help="The mask to write: white is inside.")],
    normal: Normal = "",
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Propose the region for `anomaly train --region`: where the part is.

    A place is inside where the normal images agree on a structure, or where
    such places enclose it. Up to 48 images are looked at, at 256 pixels a side.

    Outside is a background that is even, or that changes from image to image.
    A background that is always the same, such as a holder, is inside: it cannot
    be told from the part.

    On textures, and where the part fills the image, no region is proposed.

    Look at the picture that is written beside the mask. Correct the mask where
    it is wrong.
    """
    with usage():
        from anomaly.pipeline.region import propose_region

        with err.status("looking at the normal images"):
            summary = propose_region(data, out_, normal=names(normal), max_pixels=max_pixels, on_data=say_data)
    out.print(f"wrote {escape(str(summary.mask))}: {summary.share:.0%} of the picture is inside")
    say(*summary.sentences(), on=out)
