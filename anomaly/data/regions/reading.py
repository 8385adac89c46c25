"""A region of interest from a user's file: a mask, or polygons as JSON.

Masks are read as those of defects are (see `masks.coding`): what such a mask marks is inside. JSON is either

    {"width": W, "height": H, "polygons": [[[x, y], …], …], "holes": [[[x, y], …], …]}

in pixels of a picture of W × H, where `holes` may be left out, or a file of the annotation program labelme, with
`imageWidth`, `imageHeight` and `shapes` (https://github.com/wkentaro/labelme). Holes are cut out of all polygons.
Points outside of the picture are refused: then it was probably drawn on a picture of another size.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from PIL import Image, ImageDraw
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anomaly.config import Config
from anomaly.config.mistakes import mistakes_of
from anomaly.config.region import MAX_REGION_SIDE, Inside, decode_region, encode_region, inside_of
from anomaly.counted import Size
from anomaly.data.decoding.limits import DEFAULT_LIMITS, Limits
from anomaly.data.masks.coding import read_mask
from anomaly.errors import ImageError, UsageError, reason_of

MAX_DIFFERENCE = 0.02  # of the aspect ratios of a region and of the pictures
_LARGEST_SHARE = 1.5  # of width and height, where points may lie a little outside of the picture

Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]
Point = tuple[Coordinate, Coordinate]
Polygon = Annotated[list[Point], Field(min_length=3)]
NumPixels = Annotated[int, Field(ge=1)]


class RegionPolygons(Config):
    """Polygons in pixels of a picture of this size."""

    width: NumPixels
    height: NumPixels
    polygons: list[Polygon] = Field(min_length=1)
    holes: list[Polygon] = Field(default_factory=list)


class LabelmeShape(BaseModel):
    """One shape that was drawn in labelme, whatever it is labelled."""

    model_config = ConfigDict(allow_inf_nan=False)

    shape_type: Literal["polygon"] = "polygon"
    points: Polygon


class LabelmeFile(BaseModel):
    """What is used of labelme's file."""

    model_config = ConfigDict(allow_inf_nan=False)

    width: NumPixels = Field(alias="imageWidth")
    height: NumPixels = Field(alias="imageHeight")
    shapes: list[LabelmeShape] = Field(min_length=1)


def read_region(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> Inside:
    """The region in a file, at the file's own size.

    Raises:
        UsageError: the file cannot be read, or everything or nothing is inside. The message names the file.
    """
    if path.suffix.lower() == ".json":
        inside = _drawn(_read_polygons(path), path, limits)
    else:
        try:
            inside = read_mask(path, limits=limits)
        except ImageError as error:
            hint = " (What a mask calls the defect is the inside of a region.)" if "defect" in str(error) else ""
            raise UsageError(f"--region: {error}{hint}") from error
    if not inside.any() or inside.all():
        what = "all" if inside.any() else "none"
        raise UsageError(
            f"--region {path}: {what} of its pixels are inside; expected some inside and some outside: make what "
            "counts white, and the rest black"
        )
    return inside


def region_text(path: Path, size: Size | None, *, limits: Limits = DEFAULT_LIMITS) -> str:
    """The region in a file as a recipe has it, for pictures of about this height and width; None: not known.

    Raises:
        UsageError: as `read_region`, or the pictures have another aspect ratio, or nothing would be left inside or
            outside. The message names the file.
    """
    inside = read_region(path, limits=limits)
    if size is not None:
        ratio = inside.shape[1] * size[0] / (inside.shape[0] * size[1])
        if abs(np.log(ratio)) > np.log1p(MAX_DIFFERENCE):
            raise UsageError(
                f"--region {path}: is {inside.shape[1]} × {inside.shape[0]} pixels, and the first picture is "
                f"{size[1]} × {size[0]}; a region is laid over the whole picture, so it needs the same aspect ratio: "
                "draw it on one of the pictures"
            )
    text = encode_region(inside)
    kept = decode_region(text)
    if kept.all():
        raise UsageError(
            f"--region {path}: nothing is left outside when it is shrunk to {kept.shape[1]} × {kept.shape[0]} pixels, "
            f"as it is kept; draw what lies outside at least {2 * -(-max(inside.shape) // MAX_REGION_SIDE)} pixels wide"
        )
    if size is not None and not inside_of(text, *size).any():
        raise UsageError(
            f"--region {path}: no pixel of a picture of {size[1]} × {size[0]} lies inside; draw a larger region"
        )
    return text


def _read_polygons(path: Path) -> RegionPolygons:
    try:
        content: Any = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"--region {path}: cannot be read as JSON ({reason_of(error)}); give a mask or a file of polygons"
        ) from error
    try:
        if not isinstance(content, dict) or "shapes" not in content:
            return RegionPolygons.model_validate(content)
        labelme = LabelmeFile.model_validate(content)
    except ValidationError as error:
        where, message, _ = mistakes_of(error)[0]
        raise UsageError(
            f'--region {path}: {where or "the file"}: {message}; expected {{"width": W, "height": H, "polygons": '
            "[[[x, y], …], …]}, or a file of labelme with polygons"
        ) from error
    return RegionPolygons(
        width=labelme.width, height=labelme.height, polygons=[shape.points for shape in labelme.shapes]
    )


def _drawn(drawing: RegionPolygons, path: Path, limits: Limits) -> Inside:
    _check_points(drawing, path)
    if drawing.width * drawing.height > limits.max_pixels:
        raise UsageError(
            f"--region {path}: is of {drawing.width} × {drawing.height} pixels, and at most {limits.max_pixels:,} are "
            "allowed; divide width, height and points by the same number"
        )
    canvas = Image.new("1", (drawing.width, drawing.height))
    draw = ImageDraw.Draw(canvas)
    for polygons, value in ((drawing.polygons, 1), (drawing.holes, 0)):
        for polygon in polygons:
            draw.polygon([(x, y) for x, y in polygon], fill=value)
    return np.array(canvas)


def _check_points(drawing: RegionPolygons, path: Path) -> None:
    """Raises UsageError where points are no pixels of the picture; they may be on its edge, and a pixel beyond."""
    for what, polygons in (("polygons", drawing.polygons), ("holes", drawing.holes)):
        points = [point for polygon in polygons for point in polygon]
        if points and all(abs(value) <= _LARGEST_SHARE for point in points for value in point):
            raise UsageError(
                f"--region {path}: no point of its {what} is more than {_LARGEST_SHARE:g} from 0, as shares of width "
                f"and height are; give pixels: multiply x by {drawing.width} and y by {drawing.height}"
            )
        for x, y in points:
            if not (-1 <= x <= drawing.width + 1 and -1 <= y <= drawing.height + 1):
                raise UsageError(
                    f"--region {path}: the point [{x:g}, {y:g}] of its {what} lies outside of the picture of "
                    f"{drawing.width} × {drawing.height} pixels; check width and height, which are those of the "
                    "picture that it was drawn on, or move the point to the edge"
                )
