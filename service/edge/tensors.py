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
from pydantic import BaseModel, TypeAdapter, ValidationError

from anomaly.data import Pixels
from service.errors import MalformedRequestError, UploadTooLargeError, in_words
from service.schemas.inference import InferInput, InferParameters, InferRequest
from service.schemas.labels import FILE_NAME, PartId

IMAGE, PART, FILENAME = "image", "part", "filename"
"""The inputs: the images, and, where they are sent, which part each of them shows and what its file is called."""
MAX_JSON_VALUES = 2**22
"""Numbers and texts in one JSON object, sent or answered."""
MAX_JSON_TEXTS = 2**16
"""Names and texts in one JSON object that is sent: each name may cost what a hundred numbers do."""
JSON_VALUE_BYTES = 64
"""Memory that one of them takes at most while it is read or written; a list takes LIST_BYTES more."""
LIST_BYTES = 128
LENGTH_BYTES = 4
PIXEL_RANKS = (3, 4)
Images = Sequence[bytes | Pixels]
Schema = TypeVar("Schema", bound=BaseModel)
PART_ID: TypeAdapter[str] = TypeAdapter(PartId)
LABELS = {PART: PART_ID, FILENAME: FILE_NAME}
DTYPES: dict[str, str] = {"INT8": "i1", "FP32": "<f4", "FP64": "<f8", "BYTES": "O"}
"""Of outputs, as numpy calls them."""


@dataclass(frozen=True)
class SentImages:
    """What a request has of its n images: encoded, or pixels (h, w[, c]); `part` and `filename` None where unknown."""

    images: Images
    parts: Sequence[str | None]
    filenames: Sequence[str | None]


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
            is_number = header_length.isascii() and header_length.isdigit() and len(header_length) < 20
            if not (is_number and 0 < int(header_length) <= length):
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
        if parts.num_texts > MAX_JSON_TEXTS:
            raise UploadTooLargeError(f"The JSON object has more than the {MAX_JSON_TEXTS} names and texts accepted.")
        return parts

    @property
    def num_values(self) -> int:
        """How many values the JSON object has at most; base64 has none of the characters between them."""
        return sum(map(self.head.count, (b",", b"[", b"{")))

    @property
    def num_texts(self) -> int:
        """How many names and texts it has, with escaped quotation marks left out."""
        return (self.head.count(b'"') - self.head.count(b'\\"')) // 2

    @property
    def num_bytes(self) -> int:
        """Memory that its values take at most while they are read."""
        return JSON_VALUE_BYTES * self.num_values + LIST_BYTES * self.head.count(b"[")

    def parse(self, *, max_images: int) -> tuple[InferRequest, SentImages]:
        """The request without its inputs, and the images that these are.

        Raises MalformedRequestError, or UploadTooLargeError if there are too many.
        """
        request = parse_json(InferRequest, self.head)
        if astray := InferParameters.model_fields.keys() & (request.model_extra or {}).keys():
            raise MalformedRequestError(
                f"{', '.join(map(repr, sorted(astray)))} of the request must stand in its parameters: "
                '{"parameters": {"alpha": 0.05}, "inputs": …}.'
            )
        inputs = {each.name: each for each in request.inputs}
        if IMAGE not in inputs or len(inputs) < len(request.inputs) or not inputs.keys() <= {IMAGE, *LABELS}:
            names = ", ".join(repr(each.name[:40]) for each in request.inputs[:8]) or "none"
            raise MalformedRequestError(
                f"The inputs are {IMAGE!r} and, optionally, {PART!r} and {FILENAME!r}, each once; this request has "
                f"{names}."
            )
        n = inputs[IMAGE].shape[0]
        if n > max_images:
            raise UploadTooLargeError(f"The request has {n} images; at most {max_images} are accepted.")
        behind = self._behind(request.inputs)
        labels = {name: _labels(inputs.get(name), behind.get(name), n) for name in LABELS}
        sent = SentImages(_images(inputs[IMAGE], behind[IMAGE]), labels[PART], labels[FILENAME])
        return request.model_copy(update={"inputs": []}), sent

    def _behind(self, inputs: Sequence[InferInput]) -> dict[str, memoryview | None]:
        """The binary data of each input, in their order; None for one whose data are in the JSON object."""
        found: dict[str, memoryview | None] = {}
        place = 0
        for tensor in inputs:
            size = tensor.parameters.binary_data_size
            if (size is None) == (tensor.data is None):
                raise MalformedRequestError(
                    f"The input {tensor.name!r} needs data, or the parameter binary_data_size; give one."
                )
            found[tensor.name] = None if size is None else self.tail[place : place + size]
            place += size or 0
        if len(self.tail) != place:
            raise MalformedRequestError(
                f"Behind the JSON object are {len(self.tail)} bytes, but binary_data_size says {place}. The header "
                "Inference-Header-Content-Length tells where the JSON object ends."
            )
        return found


def _images(tensor: InferInput, behind: memoryview | None) -> Images:
    shape = tensor.shape
    if min(shape) < 1:
        raise MalformedRequestError(f"The shape {shape} has no image, or one without pixels.")
    match tensor.datatype:
        case "BYTES" if _is_one_an_image(shape):
            return _decoded(_texts(tensor)) if behind is None else _elements(IMAGE, behind, shape[0])
        case "UINT8" if len(shape) in PIXEL_RANKS:
            pixels = _listed_pixels(tensor.data or [], shape) if behind is None else _raw_pixels(behind, shape)
            return list(pixels)
    raise MalformedRequestError(
        f"The input {IMAGE!r} is {tensor.datatype[:40]!r} of the shape {shape}. It may be BYTES of the shape [n], "
        "or UINT8 of the shape [n, height, width, channels]; for grey also [n, height, width]."
    )


def _labels(tensor: InferInput | None, behind: memoryview | None, n: int) -> list[str | None]:
    """A text for each of n images, None where it is empty; all None if there is no such input."""
    if tensor is None:
        return [None] * n
    if tensor.datatype != "BYTES" or not _is_one_an_image(tensor.shape) or tensor.shape[0] != n:
        raise MalformedRequestError(
            f"The input {tensor.name!r} is {tensor.datatype[:40]!r} of the shape {tensor.shape}; it is BYTES of the "
            f"shape [{n}], a text for each image."
        )
    texts = _texts(tensor) if behind is None else _elements(tensor.name, behind, n)
    return [_label(tensor.name, number, text) for number, text in enumerate(texts)]


def _label(name: str, number: int, text: Any) -> str | None:
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError:
            raise MalformedRequestError(f"{name}[{number}] is not text in UTF-8.") from None
    if text == "":
        return None
    try:
        return LABELS[name].validate_python(text, strict=True)
    except ValidationError as error:
        raise MalformedRequestError(f"{name}[{number}]: {error.errors(include_url=False)[0]['msg']}") from None


def _is_one_an_image(shape: list[int]) -> bool:
    return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)


def parse_json(schema: type[Schema], text: bytes) -> Schema:
    """A body that is a JSON object. Raises MalformedRequestError, which does not repeat what may be large."""
    try:
        return schema.model_validate_json(text, strict=True)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)[:5]
        raise MalformedRequestError(
            "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the body'}: {in_words(e)}" for e in found)[:1000]
        ) from None


@dataclass(frozen=True)
class Output:
    """A named tensor of an answer: an array, or texts."""

    name: str
    datatype: str
    values: NDArray[Any]

    @classmethod
    def of(cls, name: str, datatype: str, values: Sequence[Any] | NDArray[Any]) -> "Output":
        """One value for each image, or an array whose first axis is the images'."""
        return cls(name, datatype, np.asarray(values, DTYPES[datatype]))

    def to_json(self) -> list[Any]:
        """Flat; None where there is no number."""
        flat = self.values.ravel()
        if self.datatype in ("FP32", "FP64"):
            return [None if value != value else value for value in flat.tolist()]
        return flat.tolist()

    def to_bytes(self) -> bytes:
        """The bytes of the binary tensor extension; NaN where there is no number."""
        if self.datatype == "BYTES":
            texts = [text.encode("utf-8", "replace") for text in self.values]
            return b"".join(pack("<I", len(text)) + text for text in texts)
        return self.values.tobytes()


def _elements(name: str, tail: memoryview, n: int) -> list[bytes]:
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
            f"The binary data of {name!r} are not {n} elements, each with its length before it, as 4 bytes, "
            "little-endian."
        )
    return found


def _texts(tensor: InferInput) -> list[Any]:
    """One element for each image; MLServer's clients have each in a list of its own."""
    data = tensor.data or []
    if len(data) != tensor.shape[0]:
        raise MalformedRequestError(
            f"The input {tensor.name!r} has {len(data)} elements, but its shape says {tensor.shape[0]}."
        )
    return [each[0] if isinstance(each, list) and len(each) == 1 else each for each in data]


def _decoded(texts: list[Any]) -> list[bytes]:
    images = []
    for number, text in enumerate(texts):
        try:
            images.append(b64decode(text.replace("\r", "").replace("\n", ""), validate=True))  # lines, as in MIME
        except (Base64Error, AttributeError, TypeError, ValueError):
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
