"""What schemathesis sends where it cannot know: real images, and names of bundles that are there.

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
