"""`POST /score` and `POST /score/batch`: images in, scores out."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect

from anomaly.data import restore_map
from anomaly.inference import Detector
from service.batcher import Scored
from service.errors import describe
from service.routes.drawing import draw_heatmap, draw_image
from service.routes.state import Parts, State
from service.schemas import (
    BatchAnswer,
    BatchQuery,
    ErrorAnswer,
    ErrorDetail,
    IllustratedAnswer,
    ImageFailure,
    ImageScore,
    ModelIdentity,
    ScoreAnswer,
    ScoreQuery,
)
from service.uploads import Picture, Upload

logger = logging.getLogger(__name__)
T = TypeVar("T")

BINARY = {"type": "string", "format": "binary"}
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "A parameter or the body is malformed"},
    403: {"model": ErrorAnswer, "description": "Asked for by another web site's page"},
    404: {"model": ErrorAnswer, "description": "No such model or version"},
    413: {"model": ErrorAnswer, "description": "Too many bytes, pixels or files"},
    415: {"model": ErrorAnswer, "description": "Not an accepted image format"},
    422: {"model": ErrorAnswer, "description": "An image that cannot be decoded"},
    503: {"model": ErrorAnswer, "description": "Not ready, or too busy: see Retry-After"},
}

router = APIRouter(tags=["score"], responses=ERRORS)


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def _form(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"multipart/form-data": {"schema": {"type": "object", "required": [field], "properties": {field: schema}}}}


@router.post("/score", openapi_extra=_body(_form("file", BINARY) | {"image/*": {"schema": BINARY}}))
async def score(
    request: Request, query: Annotated[ScoreQuery, Query()], parts: Parts
) -> ScoreAnswer | IllustratedAnswer:
    """Score one image: as a form's field `file`, or as the raw body with `Content-Type: image/…`."""
    detector = parts.pool.get(query.model, query.version)
    with parts.batcher.admit():
        upload = await parts.uploads.read_one(request)
        return await _unless_client_leaves(request, _answer_one(upload, detector, query, parts))


@router.post("/score/batch", openapi_extra=_body(_form("files", {"type": "array", "items": BINARY, "minItems": 1})))
async def score_batch(request: Request, query: Annotated[BatchQuery, Query()], parts: Parts) -> BatchAnswer:
    """Score many images: a form's fields `files`. Results come in order, an error object where an image failed."""
    detector = parts.pool.get(query.model, query.version)
    with parts.batcher.admit():  # a full house is told so before its body is read
        uploads = await parts.uploads.read_many(request)
    with parts.batcher.admit(len(uploads)):
        return await _unless_client_leaves(request, _answer_many(uploads, detector, query, parts))


async def _answer_one(upload: Upload, detector: Detector, query: ScoreQuery, parts: State) -> ScoreAnswer:
    picture = await parts.uploads.prepare(upload, detector.preprocess)
    scored = await parts.batcher.score(detector, picture.pixels, heatmap=query.heatmap)
    found = _judge(upload, scored, detector, query, parts)
    answer = ScoreAnswer(**dict(_identify(detector)), **dict(found))
    return await asyncio.to_thread(_illustrate, answer, scored, picture, detector) if query.heatmap else answer


async def _answer_many(uploads: list[Upload], detector: Detector, query: BatchQuery, parts: State) -> BatchAnswer:
    results = await asyncio.gather(*(_result(upload, detector, query, parts) for upload in uploads))
    return BatchAnswer(**dict(_identify(detector)), results=results)


async def _result(upload: Upload, detector: Detector, query: BatchQuery, parts: State) -> ImageScore | ImageFailure:
    """One image of a batch; whatever goes wrong with it stays with it."""
    try:
        picture = await parts.uploads.prepare(upload, detector.preprocess)
        scored = await parts.batcher.score(detector, picture.pixels)
        return _judge(upload, scored, detector, query, parts)
    except Exception as error:
        problem = describe(error)
        parts.telemetry.count_failure(problem.code)
        if problem.status == 500:
            logger.exception("an image of a batch could not be scored")
        return ImageFailure(filename=upload.name, error=ErrorDetail(code=problem.code, message=problem.message))


def _identify(detector: Detector) -> ModelIdentity:
    bundle = detector.bundle
    return ModelIdentity(model=bundle.name, version=bundle.version, digest=bundle.digest)


def _judge(upload: Upload, scored: Scored, detector: Detector, query: BatchQuery, parts: State) -> ImageScore:
    calibration = detector.calibration
    alpha = query.alpha or parts.settings.alpha
    threshold = calibration.threshold(alpha)
    found = ImageScore(
        filename=upload.name,
        score=scored.score,
        p_value=float(calibration.p_values(np.array([scored.score]))[0]),
        threshold=threshold,
        is_anomalous=None if threshold is None else scored.score > threshold,
        alpha=alpha,
        message=calibration.shortage(alpha),
        terms=scored.terms,
    )
    parts.telemetry.observe_score(detector.bundle, found.score, found.p_value, found.is_anomalous)
    return found


def _illustrate(answer: ScoreAnswer, scored: Scored, picture: Picture, detector: Detector) -> IllustratedAnswer:
    assert scored.heatmap is not None  # noqa: S101  # it was asked for
    heatmap = restore_map(scored.heatmap, detector.preprocess, picture.height, picture.width)
    return IllustratedAnswer(**dict(answer), heatmap=draw_heatmap(heatmap), reconstruction=draw_image(scored.x_hat))


async def _unless_client_leaves(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`, but cancel it when the client hangs up: nobody waits for it, and others do."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _disconnect(request: Request) -> None:
    """Return when the client has hung up; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
