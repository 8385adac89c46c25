"""Tensors of the Open Inference Protocol: as JSON, or as bytes behind the JSON object (its binary tensor extension).

Bytes are little-endian, row by row, without gaps; an element of BYTES has its length before it, as an unsigned integer
of 4 bytes. In JSON an element of BYTES is text: bytes that need not be text, as those of an image, are in base64.
Shapes: n images, h height, w width, c channels.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from struct import pack, unpack_from
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from service.errors import MalformedRequestError, UploadTooLargeError
from service.schemas.inference import InferInput, InferRequest

IMAGE = "image"
"""The one input."""
MAX_JSON_VALUES = 2**22
"""Numbers and texts in one JSON object, sent or answered."""
JSON_VALUE_BYTES = 64
"""Memory that one of them takes at most while it is read or written."""
LENGTH_BYTES = 4
PIXEL_RANKS = (3, 4)
Pixels = NDArray[np.uint8]
Images = Sequence[bytes | Pixels]
Schema = TypeVar("Schema", bound=BaseModel)
DTYPES: dict[str, str] = {"INT8": "i1", "FP32": "<f4", "FP64": "<f8", "BYTES": "O"}
"""Of outputs, as numpy calls them."""


@dataclass(frozen=True)
class InferBody:
    """A request's body: the JSON object, and what is behind it."""

    head: bytes
    tail: memoryview

    @classmethod
    def split(cls, body: bytes, header_length: str | None) -> "InferBody":
        """By the header Inference-Header-Content-Length; without it all of the body is JSON.

        Raises MalformedRequestError, or UploadTooLargeError if the JSON has too many values.
        """
        length = len(body)
        if header_length is not None:
            if not (header_length.isascii() and header_length.isdigit() and 0 < int(header_length) <= length):
                raise MalformedRequestError(
                    f"Inference-Header-Content-Length is {header_length[:40]!r}; it is the length of the JSON object "
                    f"with which the body begins, so a number from 1 to {length}."
                )
            length = int(header_length)
        parts = cls(body[:length], memoryview(body)[length:])
        if parts.num_values > MAX_JSON_VALUES:
            raise UploadTooLargeError(
                f"The JSON object has more than the {MAX_JSON_VALUES} values accepted; send pixels as binary data, or "
                "images as BYTES."
            )
        return parts

    @property
    def num_values(self) -> int:
        """How many values the JSON object has at most; base64 has none of the characters between them."""
        return sum(map(self.head.count, (b",", b"[", b"{")))

    def parse(self, *, max_images: int) -> tuple[InferRequest, Images]:
        """The request without its inputs, and these as images: encoded, or pixels (h, w[, c]).

        Raises MalformedRequestError, or UploadTooLargeError if there are too many.
        """
        request = parse_json(InferRequest, self.head)
        if [each.name for each in request.inputs] != [IMAGE]:
            names = ", ".join(repr(each.name[:40]) for each in request.inputs[:8]) or "none"
            raise MalformedRequestError(f"The one input is {IMAGE!r}; this request has {names}.")
        (tensor,) = request.inputs
        size = tensor.parameters.binary_data_size
        if (size is None) == (tensor.data is None):
            raise MalformedRequestError(f"The input {IMAGE!r} needs data, or the parameter binary_data_size; give one.")
        if len(self.tail) != (size or 0):
            raise MalformedRequestError(
                f"Behind the JSON object are {len(self.tail)} bytes, but binary_data_size says {size or 0}. The header "
                "Inference-Header-Content-Length tells where the JSON object ends."
            )
        if tensor.shape[0] > max_images:
            raise UploadTooLargeError(f"The request has {tensor.shape[0]} images; at most {max_images} are accepted.")
        return request.model_copy(update={"inputs": []}), self._images(tensor)

    def _images(self, tensor: InferInput) -> Images:
        shape, data = tensor.shape, tensor.data
        if min(shape) < 1:
            raise MalformedRequestError(f"The shape {shape} has no image, or one without pixels.")
        match tensor.datatype:
            case "BYTES" if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
                return _elements(self.tail, shape[0]) if data is None else _decoded(data, shape[0])
            case "UINT8" if len(shape) in PIXEL_RANKS:
                pixels = _raw_pixels(self.tail, shape) if data is None else _listed_pixels(data, shape)
                return list(pixels)
        raise MalformedRequestError(
            f"The input {IMAGE!r} is {tensor.datatype[:40]!r} of the shape {shape}. It may be BYTES of the shape [n], "
            "or UINT8 of the shape [n, height, width, channels]; for grey also [n, height, width]."
        )


def parse_json(schema: type[Schema], text: bytes) -> Schema:
    """A body that is a JSON object. Raises MalformedRequestError, which does not repeat what may be large."""
    try:
        return schema.model_validate_json(text, strict=True)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)[:5]
        raise MalformedRequestError(
            "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the body'}: {e['msg']}" for e in found)[:1000]
        ) from None


@dataclass(frozen=True)
class Output:
    """A named tensor of an answer: an array, or texts."""

    name: str
    datatype: str
    values: NDArray[Any]

    @classmethod
    def of(cls, name: str, datatype: str, values: Sequence[Any] | NDArray[Any]) -> "Output":
        """One value an image, or an array whose first axis is the images'."""
        return cls(name, datatype, np.asarray(values, DTYPES[datatype]))

    def to_json(self) -> list[Any]:
        """Flat; None where there is no number."""
        flat = self.values.ravel()
        if self.datatype in ("FP32", "FP64"):
            return [None if value != value else value for value in flat.tolist()]
        return flat.tolist()

    def to_bytes(self) -> bytes:
        """As the binary tensor extension has it; NaN where there is no number."""
        if self.datatype == "BYTES":
            texts = [text.encode("utf-8", "replace") for text in self.values]
            return b"".join(pack("<I", len(text)) + text for text in texts)
        return self.values.tobytes()


def _elements(tail: memoryview, n: int) -> list[bytes]:
    found: list[bytes] = []
    place = 0
    while place < len(tail) and len(found) < n:
        if place + LENGTH_BYTES > len(tail):
            break
        (length,) = unpack_from("<I", tail, place)
        place += LENGTH_BYTES
        found.append(bytes(tail[place : place + length]))
        place += length
    if len(found) != n or place != len(tail):
        raise MalformedRequestError(
            f"The binary data of {IMAGE!r} are not {n} elements, each with its length before it, as 4 bytes, "
            "little-endian."
        )
    return found


def _decoded(data: list[Any], n: int) -> list[bytes]:
    texts = [each[0] if isinstance(each, list) and len(each) == 1 else each for each in data]
    if len(texts) != n:
        raise MalformedRequestError(f"The input {IMAGE!r} has {len(texts)} elements, but its shape says {n}.")
    images = []
    for number, text in enumerate(texts):
        try:
            images.append(b64decode(text, validate=True))
        except (Base64Error, TypeError, ValueError):
            raise MalformedRequestError(
                f"Element {number} of {IMAGE!r} is not in base64, as bytes are in JSON; or send it as binary data."
            ) from None
    return images


def _raw_pixels(tail: memoryview, shape: list[int]) -> Pixels:
    if prod(shape) != len(tail):
        raise MalformedRequestError(
            f"The shape {shape} has {prod(shape)} pixel values of a byte each, but binary_data_size is {len(tail)}."
        )
    return np.frombuffer(tail, np.uint8).reshape(shape)


def _listed_pixels(data: list[Any], shape: list[int]) -> Pixels:
    try:
        values = np.array(data)
    except (ValueError, OverflowError):
        values = np.array(None)
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > np.iinfo(np.uint8).max:
        raise MalformedRequestError(f"The data of {IMAGE!r} are not whole numbers from 0 to 255, in lists of one size.")
    if values.shape not in (tuple(shape), (prod(shape),)):
        raise MalformedRequestError(
            f"The data of {IMAGE!r} have the shape {list(values.shape)}, not {shape}, nor flat."
        )
    return values.astype(np.uint8).reshape(shape)
