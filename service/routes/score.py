"""`POST /score` and `POST /score/batch`: images in, scores out. What happens in between is `service.scoring`."""

from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from anomaly.data import restore_map
from anomaly.inference import Detector
from anomaly.scoring import strongest_place
from service.edge.bodies import BYTES, Body, Upload, disconnection
from service.edge.callers import NEEDS_KEY, check_scope
from service.edge.keys import Scope as KeyScope
from service.edge.request_log import note_images, request_id
from service.engine.admission import Reservation
from service.routes.batch_parts import DESCRIBED_PARTS, parts_of_files
from service.routes.drawing import draw_heatmap, draw_image
from service.routes.query import describe_head, form_fields, read_head, with_fields
from service.routes.state import State, state_of
from service.schemas.base import ErrorAnswer, ErrorDetail
from service.schemas.samples import BATCH_ANSWER, FORM, FORM_OF_MANY, SCORE_ANSWER, answered
from service.schemas.score import (
    BatchAnswer,
    BatchQuery,
    IllustratedAnswer,
    ImageFailure,
    ImageScore,
    PlaceAnswer,
    ScoreAnswer,
    ScoreQuery,
)
from service.scoring import JudgedImage, Submission

NAMELESS = "the image"
"""How errors call an image without a name."""
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


def _form(field: str, schema: dict[str, Any], fields: dict[str, Any], sample: dict[str, Any]) -> dict[str, Any]:
    """A form may also have what the query may."""
    form = {
        "type": "object",
        "required": [field],
        "properties": {field: schema} | fields,
        "additionalProperties": False,
    }
    return {"multipart/form-data": {"schema": form, "example": sample}}


@router.post(
    "/score",
    response_model=ScoreAnswer | IllustratedAnswer,
    responses=answered(SCORE_ANSWER),
    openapi_extra=NEEDS_KEY
    | describe_head(ScoreQuery)
    | _body(
        _form("file", BINARY, form_fields(ScoreQuery), FORM)
        | {"image/*": {"schema": BINARY}, BYTES: {"schema": BINARY}}
    ),
)
async def score(request: Request) -> Response:
    """Score one image: as a form's field `file`, or as the raw body with `Content-Type: image/…`.

    The parameters may also be fields of the form. The file's name is `name`, else that of the form's file, or in a raw
    body's `Content-Disposition`.
    """
    check_scope(request, KeyScope.SCORE)
    query, state = read_head(ScoreQuery, request), state_of(request)
    body = Body(request, state.body_limits)
    named = _detector_named(query, body, state)
    with state.scoring.admit(named, num_bytes=body.announced_bytes) as reservation:
        upload = await body.read_one(reservation.grow)
        query = with_fields(query, body.texts)
        upload = replace(upload, name=query.name) if query.name else upload
        note_images(request.scope, [query.part], [upload.name])
        detector = named or _assigned(reservation, query, state)
        judged = await state.scoring.score_one(
            _submission(upload, query.part, detector, state),
            detector,
            reservation,
            alpha=query.alpha or state.settings.alpha,
            heatmap=query.heatmap,
            disconnected=partial(disconnection, request),
        )
        answer = ScoreAnswer(**_identify(detector), **_describe(judged))
        if not query.heatmap:
            return _json(answer)
        return await state.batcher.in_decoder(lambda: _json(_illustrate(answer, judged, detector)))


@router.post(
    "/score/batch",
    response_model=BatchAnswer,
    responses=answered(BATCH_ANSWER),
    openapi_extra=NEEDS_KEY
    | describe_head(BatchQuery)
    | _body(
        _form(
            "files",
            {"type": "array", "items": BINARY, "minItems": 1},
            form_fields(BatchQuery) | DESCRIBED_PARTS,
            FORM_OF_MANY,
        )
    ),
)
async def score_batch(request: Request) -> Response:
    """Score many images: a form's fields `files`. Results come in order, an error object where an image failed.

    The parameters may also be fields of the form. `part` is one for all images, or in the form one for each, in order.
    """
    check_scope(request, KeyScope.SCORE)
    query, state = read_head(BatchQuery, request), state_of(request)
    body = Body(request, state.body_limits)
    named = _detector_named(query, body, state)
    with state.scoring.admit(named, num_bytes=body.announced_bytes) as reservation:
        uploads = await body.read_many(reservation.grow)
        query, shown = parts_of_files(query, body.texts, len(uploads))
        note_images(request.scope, shown, [upload.name for upload in uploads])
        detector = named or _assigned(reservation, query, state)
        submitted = zip(uploads, shown, strict=True)
        outcomes = await state.scoring.score_many(
            [_submission(upload, part, detector, state) for upload, part in submitted],
            detector,
            reservation,
            alpha=query.alpha or state.settings.alpha,
            disconnected=partial(disconnection, request),
        )
        results = [
            ImageScore(**_describe(outcome))
            if isinstance(outcome, JudgedImage)
            else ImageFailure(
                part=part, filename=upload.name, error=ErrorDetail(code=outcome.code, message=outcome.message)
            )
            for upload, part, outcome in zip(uploads, shown, outcomes, strict=True)
        ]
        return _json(BatchAnswer(**_identify(detector), results=results))


def _detector_named(query: BatchQuery, body: Body, state: State) -> Detector | None:
    """The detector, where the head of a request tells it; None where fields of its form may.

    Raises OverloadedError if an image would be accepted for no detector, so that such a form is not read first; and
    what `Pool.get` raises.
    """
    if not body.is_form or (query.model and query.version):
        return state.pool.get(query.model, query.version)
    if query.model:
        state.pool.model(query.model)
    if obstacle := state.admission.full_for(state.pool.detectors):
        raise obstacle
    return None


def _assigned(reservation: Reservation, query: BatchQuery, state: State) -> Detector:
    """The detector that the query and the form name, with what is reserved for its images."""
    detector = state.pool.get(query.model, query.version)
    state.scoring.assign(reservation, detector)
    return detector


def _submission(upload: Upload, part: str | None, detector: Detector, state: State) -> Submission:
    read = partial(state.uploads.prepare, upload.data, detector.preprocess, name=upload.name or NAMELESS)
    num_pixels = partial(state.uploads.num_pixels, upload.data, detector.preprocess)
    return Submission(upload.name, upload.data, read, num_pixels, part, request_id.get() or "")


def _identify(detector: Detector) -> dict[str, Any]:
    bundle = detector.bundle
    return {"model": bundle.name, "version": bundle.version, "digest": bundle.digest}


def _describe(judged: JudgedImage) -> dict[str, Any]:
    """The fields of an ImageScore."""
    return {
        "part": judged.part,
        "filename": judged.name,
        "score": judged.scored.score,
        "p_value": judged.verdict.p_value,
        "threshold": judged.verdict.threshold,
        "is_anomalous": judged.verdict.is_anomalous,
        "alpha": judged.alpha,
        "message": judged.message,
        "warning": judged.warning,
        "remarks": sorted(judged.scored.picture.remarks),
        "terms": judged.scored.terms,
        "history_id": judged.history_id,
    }


def _illustrate(answer: ScoreAnswer, judged: JudgedImage, detector: Detector) -> IllustratedAnswer:
    scored = judged.scored
    assert scored.heatmap is not None  # noqa: S101  # it was asked for
    heatmap = restore_map(scored.heatmap, detector.preprocess, scored.picture.height, scored.picture.width)
    place = strongest_place(heatmap)
    statistics = detector.bundle.contents.statistics
    standardised = statistics.standardise({name: np.array([value]) for name, value in scored.terms.items()})
    return IllustratedAnswer(
        **dict(answer),
        heatmap=draw_heatmap(heatmap),
        strongest=PlaceAnswer(**asdict(place)) if place else None,
        standardised={name: float(values[0]) for name, values in standardised.items()},
        outlying=detector.outlying,
        reconstruction=None if scored.x_hat is None else draw_image(scored.x_hat),
    )


def _json(answer: BaseModel) -> Response:
    """The answer as it is: it has been validated when it was made, and the framework would do it again."""
    return Response(answer.model_dump_json(), media_type="application/json")
