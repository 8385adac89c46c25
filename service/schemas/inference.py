"""The Open Inference Protocol, version 2, with the extensions for binary tensors and model repositories.

Names and shapes are the protocol's. What it lets clients send beyond them is passed over, but a parameter that nothing
here acts on is refused, unless it is one of PASSED_OVER.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.schemas.labels import PartId
from service.schemas.score import Alpha

PASSED_OVER = frozenset(
    {"priority", "timeout", "sequence_id", "sequence_start", "sequence_end", "content_type", "headers"}
)
"""Parameters of Triton's scheduler and of MLServer's codecs: no score depends on them."""


class ProtocolSchema(BaseModel):
    """Base: fields are documented where they are declared, and unknown ones are passed over."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, protected_namespaces=())


class ProtocolParameters(ProtocolSchema):
    """Base of parameters: those that nothing acts on are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _pass_over(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if name not in PASSED_OVER or name in cls.model_fields}


class InputParameters(ProtocolParameters):
    """The parameters of one input."""

    binary_data_size: int | None = Field(default=None, ge=0)
    """Bytes of its data behind the JSON object."""


class OutputParameters(ProtocolParameters):
    """The parameters of one output that is asked for."""

    binary_data: bool | None = None
    """Whether it is answered as bytes behind the JSON object; what the request says if left out."""


class InferParameters(ProtocolParameters):
    """The parameters of a request."""

    alpha: Alpha | None = None
    """The share of normal images that may be called anomalous; the server's own if left out."""
    part: PartId | None = None
    """Which part all of the images show; to give each image its own, send the input `part`."""
    binary_data_output: bool = False
    """Whether outputs are answered as bytes behind the JSON object."""


class InferInput(ProtocolSchema):
    """The tensor `image`: encoded images (BYTES, [n]), or pixels (UINT8, [n, height, width, channels]).

    Beside it may stand `part` and `filename` (BYTES, [n]): a text for each image, empty where it is not known.
    """

    name: str
    """image, part or filename"""
    shape: list[int] = Field(min_length=1, max_length=8)
    datatype: str
    """BYTES or UINT8."""
    parameters: InputParameters = InputParameters()
    data: list[Any] | None = None
    """BYTES: a string for each image: the image in base64; part or name as it is. UINT8: numbers from 0 to 255, nested
    or flat. Left out if binary."""


class InferOutput(ProtocolSchema):
    """An output that is asked for."""

    name: str
    parameters: OutputParameters = OutputParameters()


class InferRequest(ProtocolSchema):
    """Images to score."""

    model_config = ConfigDict(extra="allow")

    id: str | None = None
    """Goes back in the answer."""
    parameters: InferParameters = InferParameters()
    inputs: list[InferInput]
    """`image`, and `part` and `filename` if they are to be kept."""
    outputs: list[InferOutput] | None = None
    """Those that are wanted; without it all but `heatmap` and `error`."""


class InferredTensor(ProtocolSchema):
    """One output, with one value for each image."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, int] | None = None
    """`binary_data_size`, if its data are behind the JSON object."""
    data: list[Any] | None = None
    """Flat, row by row; null where there is no number."""


class InferAnswer(ProtocolSchema):
    """What was found in the images, in their order."""

    model_name: str
    model_version: str
    id: str | None = None
    """As it was sent."""
    parameters: dict[str, str | float]
    """`digest` of the bundle, `alpha`, and `message`: why there is no threshold, or p-values do not hold."""
    outputs: list[InferredTensor]


class ServerMetadata(ProtocolSchema):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class ServerHealth(ProtocolSchema):
    """The server is as asked."""

    live: bool = True
    ready: bool | None = None


class ModelHealth(ProtocolSchema):
    """The model is ready."""

    name: str
    ready: bool = True


class TensorMetadata(ProtocolSchema):
    """A tensor; −1 in its shape is any number."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(ProtocolSchema):
    """A model, and what it takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class IndexRequest(ProtocolSchema):
    """What to list of the models folder."""

    ready: bool = False
    """Only what can score."""


class IndexEntry(ProtocolSchema):
    """One version of one bundle."""

    name: str
    version: str
    state: str
    """READY, LOADING or UNAVAILABLE."""
    reason: str
    """Why it is not ready; of a ready one, why the files that lie there now have been refused."""


class LoadRequest(ProtocolSchema):
    """How to load or unload a model; nothing can be chosen."""

    parameters: dict[str, Any] = {}


class ProtocolError(ProtocolSchema):
    """Every error of the protocol has this shape."""

    error: str
