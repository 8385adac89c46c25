"""What schemathesis sends where it cannot know: real images, and names of bundles and rows that are there.

Random bytes stay among the images, as random names among the models.
"""

from io import BytesIO
from typing import Any
from zlib import crc32

import schemathesis
from hypothesis import strategies as st
from PIL import Image

SERVED, SPARE = "m", "spare"


def encode(mode: str, size: tuple[int, int], shade: int, file_format: str) -> bytes:
    """A plain picture as a file."""
    buffer = BytesIO()
    Image.new(mode, size, shade).save(buffer, file_format)
    return buffer.getvalue()


images = st.builds(
    encode,
    st.sampled_from(["L", "RGB", "1"]),
    st.tuples(st.integers(1, 64), st.integers(1, 64)),
    st.integers(0, 255),
    st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF"]),
)
schemathesis.openapi.media_type("image/*", images | st.binary())
schemathesis.openapi.format("binary", images | st.binary())


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: Any) -> Any:
    """Three of four names are those of a bundle that is there; the one that scores is never unloaded."""
    if isinstance(query, dict) and isinstance(query.get("model"), str):
        unloads = context.operation is not None and context.operation.path == "/admin/unload"
        if unloads or crc32(query["model"].encode("utf-8", "replace")) % 4:
            query["model"] = SPARE if unloads else SERVED
    return query


@schemathesis.hook
def map_case(context: schemathesis.HookContext, case: Any) -> Any:
    """What the query has, header and form leave out, and a batch has one part: no schema says what contradicts."""
    if case.meta is not None and case.meta.generation.mode.is_positive and "part" in (case.query or {}):
        case.headers.pop("X-Part-ID", None)
    if isinstance(case.body, dict) and case.meta is not None and case.meta.generation.mode.is_positive:
        for name in case.query or {}:
            case.body.pop(name, None)  # in place: a new body would have the query checked again, as text
        if "X-Part-ID" in (case.headers or {}):
            case.body.pop("part", None)
        if isinstance(case.body.get("part"), list):
            del case.body["part"][1:]
        if isinstance(case.body.get("model"), str) and crc32(case.body["model"].encode("utf-8", "replace")) % 4:
            case.body["model"] = SERVED
    return case


@schemathesis.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: Any) -> Any:
    """Three of four numbers are those of the history's first rows, and names as in queries."""
    if isinstance(path_parameters, dict):
        number, name = path_parameters.get("number"), path_parameters.get("name")
        if type(number) is int and number > 0 and number % 4:
            path_parameters["number"] = 1 + number % 4
        if isinstance(name, str) and crc32(name.encode("utf-8", "replace")) % 4:
            path_parameters["name"] = SERVED
    return path_parameters
