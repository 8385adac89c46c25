"""`POST /score` and `POST /score/batch`: images in, scores out."""

import asyncio
import logging
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from anomaly.data import restore_map
from anomaly.inference import Detector
from service.abandonment import abandoning
from service.admission import Room
from service.batcher import Scored
from service.callers import NEEDS_KEY, check_scope
from service.errors import DeadlineError, describe
from service.forms import Upload
from service.history import Finding, as_text
from service.keys import Scope
from service.logs import request_id
from service.routes.drawing import draw_heatmap, draw_image
from service.routes.query import describe_query, read_query
from service.routes.state import State, parts_of
from service.schemas import (
    BatchAnswer,
    BatchQuery,
    ErrorAnswer,
    ErrorDetail,
    IllustratedAnswer,
    ImageFailure,
    ImageScore,
    ScoreAnswer,
    ScoreQuery,
)

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer", ScoreAnswer, ImageScore | ImageFailure)
KEPT = {"filename", "score", "p_value", "threshold", "alpha", "is_anomalous"}
BINARY = {"type": "string", "format": "binary"}
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "A parameter or the body is malformed"},
    403: {"model": ErrorAnswer, "description": "Asked for by another web site's page"},
    404: {"model": ErrorAnswer, "description": "No such model or version"},
    413: {"model": ErrorAnswer, "description": "Too many bytes, pixels or files"},
    415: {"model": ErrorAnswer, "description": "Not an accepted image format"},
    422: {"model": ErrorAnswer, "description": "An image that cannot be decoded"},
    503: {"model": ErrorAnswer, "description": "Not ready, too busy or too late: see Retry-After"},
}

router = APIRouter(tags=["score"], responses=ERRORS)


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def _form(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"multipart/form-data": {"schema": {"type": "object", "required": [field], "properties": {field: schema}}}}


@router.post(
    "/score",
    response_model=ScoreAnswer | IllustratedAnswer,
    openapi_extra=NEEDS_KEY
    | describe_query(ScoreQuery)
    | _body(_form("file", BINARY) | {"image/*": {"schema": BINARY}}),
)
async def score(request: Request) -> Response:
    """Score one image: as a form's field `file`, or as the raw body with `Content-Type: image/…`."""
    check_scope(request, Scope.SCORE)
    query, parts = read_query(ScoreQuery, request), parts_of(request)
    detector = parts.pool.get(query.model, query.version)
    with _admit(request, detector, parts) as room:
        upload = await parts.uploads.read_one(request, room)
        answer = _submit(upload, detector, parts, heatmap=query.heatmap)
        with abandoning(request, [answer], room.deadline):
            scored = await answer
        found = _judge(upload, scored, detector, query, parts)
        body = ScoreAnswer(**_identify(detector), **found)
        (body,) = await _keep([body], [upload], [scored], detector, parts)
        return _json(await asyncio.to_thread(_illustrate, body, scored, detector) if query.heatmap else body)


@router.post(
    "/score/batch",
    response_model=BatchAnswer,
    openapi_extra=NEEDS_KEY
    | describe_query(BatchQuery)
    | _body(_form("files", {"type": "array", "items": BINARY, "minItems": 1})),
)
async def score_batch(request: Request) -> Response:
    """Score many images: a form's fields `files`. Results come in order, an error object where an image failed."""
    check_scope(request, Scope.SCORE)
    query, parts = read_query(BatchQuery, request), parts_of(request)
    detector = parts.pool.get(query.model, query.version)
    with _admit(request, detector, parts) as room:
        uploads = await parts.uploads.read_many(request, room)
        num_more = len(uploads) - 1
        room.widen(num_images=num_more, num_bytes=num_more * _pixel_bytes(detector))
        answers = [_submit(upload, detector, parts) for upload in uploads]
        with abandoning(request, answers, room.deadline):
            outcomes = await asyncio.gather(*answers, return_exceptions=True)
        pairs = zip(uploads, outcomes, strict=True)
        results = [_result(upload, outcome, detector, query, parts) for upload, outcome in pairs]
        results = await _keep(results, uploads, outcomes, detector, parts)
        return _json(BatchAnswer(**_identify(detector), results=results))


def _admit(request: Request, detector: Detector, parts: State) -> AbstractContextManager[Room]:
    """Room for one image and a body of the announced length, taken before that is read."""
    return parts.admission.admit(detector, num_bytes=parts.uploads.announced_bytes(request) + _pixel_bytes(detector))


def _pixel_bytes(detector: Detector) -> int:
    return detector.preprocess.channels * detector.preprocess.size**2


def _submit(upload: Upload, detector: Detector, parts: State, *, heatmap: bool = False) -> asyncio.Future[Scored]:
    read = partial(parts.uploads.prepare, upload, detector.preprocess)
    return parts.batcher.submit(detector, read, heatmap=heatmap)


def _result(
    upload: Upload, outcome: Scored | BaseException, detector: Detector, query: BatchQuery, parts: State
) -> ImageScore | ImageFailure:
    """One image of a batch. What goes wrong with it stays with it, but what ended the request ends it."""
    try:
        if isinstance(outcome, Scored):
            return ImageScore(**_judge(upload, outcome, detector, query, parts))
        raise outcome
    except (DeadlineError, ClientDisconnect):
        raise
    except Exception as error:
        problem = describe(error)
        parts.telemetry.count_failure(problem.code)
        if problem.status == 500:
            logger.exception("an image of a batch could not be scored")
        return ImageFailure(filename=upload.name, error=ErrorDetail(code=problem.code, message=problem.message))


def _identify(detector: Detector) -> dict[str, Any]:
    bundle = detector.bundle
    return {"model": bundle.name, "version": bundle.version, "digest": bundle.digest}


def _judge(upload: Upload, scored: Scored, detector: Detector, query: BatchQuery, parts: State) -> dict[str, Any]:
    """The fields of an ImageScore."""
    calibration = detector.calibration
    alpha = query.alpha or parts.settings.alpha
    threshold = calibration.threshold(alpha)
    p_value = calibration.p_value(scored.score)
    is_anomalous = None if threshold is None else scored.score > threshold
    if math.isfinite(scored.score):
        parts.telemetry.observe_score(detector.bundle, scored.score, p_value, is_anomalous)
        parts.drift.add(detector.bundle, scored.score, p_value)
    return {
        "filename": upload.name,
        "score": scored.score,
        "p_value": p_value,
        "threshold": threshold,
        "is_anomalous": is_anomalous,
        "alpha": alpha,
        "message": calibration.shortage(alpha),
        "terms": scored.terms,
    }


async def _keep(
    results: Sequence[Answer],
    uploads: Sequence[Upload],
    outcomes: Sequence[object],
    detector: Detector,
    parts: State,
) -> list[Answer]:
    """The same results, those with a score with the number of their row in the history, if one is kept."""
    if parts.history is None:
        return list(results)
    now = as_text(datetime.now(UTC))
    findings = {
        i: Finding(
            **_identify(detector),
            **result.model_dump(include=KEPT),
            request_id=request_id.get() or "",
            time=now,
            data=upload.data,
            pixels=outcome.picture.pixels,
        )
        for i, (result, upload, outcome) in enumerate(zip(results, uploads, outcomes, strict=True))
        if isinstance(result, ImageScore) and isinstance(outcome, Scored)
    }
    numbers = dict(zip(findings, await parts.history.add(list(findings.values())), strict=True))
    return [
        result.model_copy(update={"history_id": numbers[i]}) if i in numbers else result
        for i, result in enumerate(results)
    ]


def _illustrate(answer: ScoreAnswer, scored: Scored, detector: Detector) -> IllustratedAnswer:
    assert scored.heatmap is not None  # noqa: S101  # it was asked for
    heatmap = restore_map(scored.heatmap, detector.preprocess, scored.picture.height, scored.picture.width)
    return IllustratedAnswer(**dict(answer), heatmap=draw_heatmap(heatmap), reconstruction=draw_image(scored.x_hat))


def _json(answer: BaseModel) -> Response:
    """The answer as it is: it has been validated when it was made, and the framework would do it again."""
    return Response(answer.model_dump_json(), media_type="application/json")
