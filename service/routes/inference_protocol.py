"""The Open Inference Protocol, version 2, below `/v2`: health, metadata and `infer`.

What happens between request and answer is `service.scoring`, as for `/score`. `service.edge.tensors` reads what is
sent, `service.routes.inference_answers` makes the answer.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version as version_of
from typing import Any

from fastapi import APIRouter, Request, Response, Security

from anomaly.data import Picture, Pixels
from anomaly.inference import Detector
from service.edge.bodies import BYTES, Body, disconnection
from service.edge.callers import BEARER, NEEDS_KEY, check_scope
from service.edge.keys import Scope
from service.edge.request_log import note_images, request_id
from service.edge.tensors import IMAGE, JSON_VALUE_BYTES, PART, InferBody, SentImages
from service.engine.admission import Reservation
from service.errors import PROTOCOL, MalformedRequestError, ModelNotFoundError, NotReadyError
from service.routes.inference_answers import HEADER_LENGTH, HEATMAP, Wanted, answer, described
from service.routes.query import PART_HEADER, PART_IN_HEAD, describe_body, describe_header, with_part_header
from service.routes.state import AppState, State, state_of
from service.schemas.inference import (
    InferAnswer,
    InferRequest,
    ModelHealth,
    ModelMetadata,
    ProtocolError,
    ServerHealth,
    ServerMetadata,
    TensorMetadata,
)
from service.schemas.samples import INFER_ANSWER, INFER_REQUEST
from service.scoring import Submission

EXTENSIONS = ["binary_tensor_data", "model_repository"]
PLATFORM = "anomaly_bundle"
BINARY = {"type": "string", "format": "binary"}
JSON_LENGTH = {
    "type": "integer",
    "minimum": 1,
    "description": "Bytes of the JSON object, where the data of inputs follow it as bytes.",
}
LARGE_BYTES = 2**16
"""From here on a body is read, and an answer made, in another thread: the event loop would stand still."""
MODEL, MODEL_VERSION = "/models/{name}", "/models/{name}/versions/{version}"
SCORING = [("POST", f"{PROTOCOL}{path}/infer") for path in (MODEL, MODEL_VERSION)]
"""The calls that are refused by their heads while the server is full."""


def _fails(statuses: dict[int | str, str]) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ProtocolError, "description": meaning} for status, meaning in statuses.items()}


ERRORS = _fails({400: "A parameter, a tensor or the body is malformed", 404: "No such model", "default": "Any error"})
INFER: dict[str, Any] = {
    "responses": {
        200: {
            "model": InferAnswer,
            "description": "With binary outputs the JSON object is followed by their bytes",
            "content": {"application/json": {"example": INFER_ANSWER}, BYTES: {"schema": BINARY}},
        },
    }
    | _fails(
        {
            413: "Too many bytes, pixels, values or images",
            415: "Not an accepted image format, or a compressed body",
            422: "An image that cannot be decoded",
            503: "Not ready, too busy or too late: see Retry-After",
        }
    ),
    "openapi_extra": NEEDS_KEY
    | {"parameters": [PART_IN_HEAD, describe_header(HEADER_LENGTH, JSON_LENGTH)]}
    | describe_body(InferRequest, required=True, sample=INFER_REQUEST),
}

router = APIRouter(prefix=PROTOCOL, tags=["open inference protocol"], responses=ERRORS)
needs_key = [Security(BEARER)]


@router.get("", dependencies=needs_key)
@router.get("/", dependencies=needs_key, include_in_schema=False)
async def server_metadata() -> ServerMetadata:
    """The server's name, version and extensions."""
    return ServerMetadata(name="anomaly", version=version_of("anomaly"), extensions=EXTENSIONS)


@router.get("/health/live", response_model_exclude_none=True)
async def server_live() -> ServerHealth:
    """Alive: the process answers."""
    return ServerHealth()


@router.get("/health/ready")
async def server_ready(state: AppState) -> ServerHealth:
    """Able to score, as `/readyz` has it; else 503."""
    if not state.is_ready:
        raise NotReadyError("The server is not able to score now; GET /readyz says why.")
    return ServerHealth(ready=True)


@router.get(MODEL, dependencies=needs_key)
async def model_metadata(name: str, state: AppState) -> ModelMetadata:
    """What a model takes and gives, by its current version."""
    return _metadata(name, None, state)


@router.get(MODEL_VERSION, dependencies=needs_key)
async def version_metadata(name: str, version: str, state: AppState) -> ModelMetadata:
    """What a version of a model takes and gives."""
    return _metadata(name, version, state)


@router.get(f"{MODEL}/ready", dependencies=needs_key)
async def model_ready(name: str, state: AppState) -> ModelHealth:
    """Whether a model's current version is able to score; else 503."""
    _detector(name, None, state)
    return ModelHealth(name=name)


@router.get(f"{MODEL_VERSION}/ready", dependencies=needs_key)
async def version_ready(name: str, version: str, state: AppState) -> ModelHealth:
    """Whether a version of a model is able to score; else 503."""
    _detector(name, version, state)
    return ModelHealth(name=name)


@router.post(f"{MODEL}/infer", **INFER)
async def infer(request: Request, name: str) -> Response:
    """Score images by a model's current version."""
    return await _infer(request, name, None)


@router.post(f"{MODEL_VERSION}/infer", **INFER)
async def version_infer(request: Request, name: str, version: str) -> Response:
    """Score images by a version of a model."""
    return await _infer(request, name, version)


async def _infer(request: Request, name: str, version: str | None) -> Response:
    check_scope(request, Scope.SCORE)
    if request.query_params:
        raise MalformedRequestError(
            f"The query has {next(iter(request.query_params))[:80]!r}, and this call has no parameters there; the body "
            'has them: {"parameters": {"alpha": 0.05}, "inputs": …}.'
        )
    state = state_of(request)
    detector = _detector(name, version, state)
    body = Body(request, state.body_limits)
    with state.scoring.admit(detector, num_bytes=body.announced_bytes) as reservation:
        sent = InferBody.split(await body.read_all(reservation.grow), request.headers.get(HEADER_LENGTH))
        reservation.grow(num_bytes=sent.num_bytes)
        parse = partial(sent.parse, max_images=state.body_limits.max_files)
        asked, received = await asyncio.to_thread(parse) if len(sent.head) > LARGE_BYTES else parse()
        del sent, parse  # with the body, which may be large
        wanted, shown = Wanted(asked, detector), _parts_shown(request, asked, received)
        alpha = asked.parameters.alpha or state.settings.alpha
        note_images(request.scope, shown, received.filenames)
        outcomes = await state.scoring.score_many(
            [
                _submission(image, f"{IMAGE}[{number}]", filename, part, detector, state)
                for number, (image, filename, part) in enumerate(
                    zip(received.images, received.filenames, shown, strict=True)
                )
            ],
            detector,
            reservation,
            alpha=alpha,
            heatmap=wanted.heatmap,
            all_or_none=not wanted.errors,
            check=partial(_reserve_maps, wanted, reservation, len(received.images)) if wanted.heatmap else None,
            disconnected=partial(disconnection, request),
        )
        make = partial(answer, asked, wanted, outcomes, detector, alpha)
        return await state.batcher.in_decoder(make) if wanted.heatmap else make()


def _reserve_maps(wanted: Wanted, reservation: Reservation, num_images: int, pictures: Sequence[Picture]) -> None:
    """Raises MalformedRequestError, UploadTooLargeError or OverloadedError if the heatmaps cannot be answered."""
    num_bytes = 4 if wanted.is_binary[HEATMAP] else JSON_VALUE_BYTES
    reservation.grow(num_bytes=num_bytes * wanted.count_maps(pictures, num_images))


def _parts_shown(request: Request, asked: InferRequest, received: SentImages) -> Sequence[str | None]:
    """Of each image: by the input, or one for all by the parameter or the header."""
    part = with_part_header(asked.parameters, request).part
    if part is None:
        return received.parts
    if any(received.parts):
        raise MalformedRequestError(
            f"The part is {part!r} in the parameters or in {PART_HEADER}, and the request has the input {PART!r}; give "
            "one part for all images, or the input."
        )
    return [part] * len(received.images)


def _submission(
    image: bytes | Pixels, place: str, filename: str | None, part: str | None, detector: Detector, state: State
) -> Submission:
    read = partial(state.uploads.prepare, image, detector.preprocess, name=place)
    num_pixels = partial(state.uploads.num_pixels, image, detector.preprocess)
    data = image if isinstance(image, bytes) else image.tobytes()
    return Submission(filename, data, read, num_pixels, part, request_id.get() or "")


def _metadata(name: str, version: str | None, state: State) -> ModelMetadata:
    detector = _detector(name, version, state)
    return ModelMetadata(
        name=name,
        versions=[str(number) for number, slot in state.pool.model(name).slots.items() if slot.detector],
        platform=PLATFORM,
        inputs=[TensorMetadata(name=IMAGE, datatype="BYTES", shape=[-1])],
        outputs=described(detector),
    )


def _detector(name: str, version: str | None, state: State) -> Detector:
    """Raises ModelNotFoundError, ModelUnavailableError or NotReadyError."""
    if version is not None and not (version.isascii() and version.isdigit() and len(version) < 20):
        raise ModelNotFoundError(f"The model {name[:80]!r} has no version {version[:80]!r}; versions are numbers.")
    return state.pool.get(name, None if version is None else int(version))
