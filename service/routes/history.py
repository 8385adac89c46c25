"""`/history`: what was scored, page by page or as CSV, and what people say of it."""

import asyncio
import csv
import io
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import fields
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.types import Receive, Scope, Send

from service.edge.bodies import disconnection
from service.edge.callers import caller_of
from service.errors import (
    ClientGoneError,
    HistoryOffError,
    HistoryRowNotFoundError,
    HistoryUnavailableError,
    UnsupportedContentError,
    UploadTooLargeError,
    describe,
)
from service.records.history import History, StoredEntry, read_page, read_thumbnail
from service.routes.state import AppState
from service.schemas.base import ErrorAnswer
from service.schemas.history import CorrectionBody, HistoryAnswer, HistoryFilters, HistoryQuery, HistoryRow, RowId

T = TypeVar("T")
logger = logging.getLogger(__name__)

ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorAnswer, "description": "The server keeps no history, or has no such row or thumbnail"},
    503: {"model": ErrorAnswer, "description": "The history cannot be used now"},
}
BODY_ERRORS: dict[int | str, dict[str, Any]] = {
    413: {"model": ErrorAnswer, "description": "Too many bytes"},
    415: {"model": ErrorAnswer, "description": "Not JSON"},
}
BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": CorrectionBody.model_json_schema()}}}
}
MAX_BODY_BYTES = 1024
LOCAL = "local"
CSV_COLUMNS = [field.name for field in fields(StoredEntry)]
CSV_ROWS = 500
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a cell begins, or goes on after spaces, that a spreadsheet would take for a formula, or for what stands before
one."""

router = APIRouter(tags=["history"], responses=ERRORS)


async def _history(state: AppState) -> History:
    if state.history is None:
        raise HistoryOffError(
            "This server keeps no history; start it with `anomaly serve --history FILE`, or with ANOMALY_HISTORY=FILE."
        )
    return state.history


Kept = Annotated[History, Depends(_history)]


@router.get("/history")
async def history(query: Annotated[HistoryQuery, Query()], request: Request, kept: Kept) -> HistoryAnswer:
    """Scored images, newest first, a page at a time."""
    rows, following = await _read(partial(read_page, query, before=query.before, limit=query.limit), request, kept)
    items = [HistoryRow.model_validate(vars(row)) for row in rows]
    return HistoryAnswer(items=items, next=following, failure=kept.failure)


@router.get(
    "/history.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "One row for each image"}},
)
async def history_csv(query: Annotated[HistoryFilters, Query()], request: Request, kept: Kept) -> Response:
    """All scored images as CSV. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    first, following = await _read(partial(_read_lines, query), request, kept)

    async def pieces() -> AsyncIterator[str]:
        yield _lines([CSV_COLUMNS]) + first
        before = following
        while before is not None:
            more, before = await kept.read(partial(_read_lines, query, before=before))
            yield more

    headers = {"Content-Disposition": 'attachment; filename="history.csv"'}
    return _Download(pieces(), media_type="text/csv", headers=headers)


class _Download(StreamingResponse):
    """Rows that are read while they are sent. If that fails, the connection ends in the middle of the answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        except HistoryUnavailableError as error:
            logger.error("an export of the history was cut off, its client has a part of the rows: %s", error)
            scope["state"]["refused_with"] = describe(error)
            scope["state"]["hang_up"]()


@router.get(
    "/history/{number}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}, "description": "A small picture of what the model saw"}},
)
async def thumbnail(number: RowId, kept: Kept) -> Response:
    """The image, small, as the model saw it; only with `--history-thumbnails`."""
    found = await kept.read(partial(read_thumbnail, number))
    if found is None:
        raise HistoryRowNotFoundError(f"The history has no thumbnail of an image {number}.")
    return Response(found, media_type="image/webp")


@router.put("/history/{number}/correction", openapi_extra=BODY, responses=BODY_ERRORS)
async def correct(number: RowId, request: Request, kept: Kept) -> HistoryRow:
    """Say what an image really is, or take that back with null; the row as it is now."""
    body = await _read_body(request)
    caller = caller_of(request)
    by = caller.name if caller and caller.sha256 else LOCAL
    row = await kept.correct(number, body.correction, by)
    if row is None:
        raise HistoryRowNotFoundError(f"The history has no image {number}.")
    return HistoryRow.model_validate(vars(row))


async def _read(work: Callable[[Connection], T], request: Request, kept: History) -> T:
    """What a search finds; it stops when the client hangs up. Raises HistoryUnavailableError or ClientGoneError."""
    found, leaving = asyncio.create_task(kept.read(work)), asyncio.create_task(disconnection(request))
    try:
        await asyncio.wait((found, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not found.done():
            raise ClientGoneError("The client hung up before its answer was made.")
        return found.result()
    finally:
        found.cancel()
        leaving.cancel()


async def _read_body(request: Request) -> CorrectionBody:
    """A small JSON body: it is refused as soon as it has more than MAX_BODY_BYTES."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedContentError('Send {"correction": "normal"}, "anomalous" or null as application/json.')
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > MAX_BODY_BYTES:
            raise UploadTooLargeError(f"A correction has more than the {MAX_BODY_BYTES} bytes accepted.")
    try:
        return CorrectionBody.model_validate_json(data)
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in error.errors()]) from None


def _read_lines(
    filters: HistoryFilters, connection: Connection, *, before: int | None = None
) -> tuple[str, int | None]:
    """A piece of the CSV, made where it is read: the event loop would stand still; and what the next is before."""
    rows, following = read_page(filters, connection, before=before, limit=CSV_ROWS)
    return _lines(map(_cells, rows)), following


def _lines(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _cells(row: StoredEntry) -> list[object]:
    return [_cell(value) for value in vars(row).values()]


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return json.dumps(value)
    is_formula = isinstance(value, str) and (value.startswith(FORMULA) or value.lstrip().startswith(FORMULA))
    return f"'{value}" if is_formula else value
