"""The model repository extension of the Open Inference Protocol: which bundles are served, changed by its clients."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from service.edge.bodies import Body, BodyLimits
from service.edge.tensors import Schema, parse_json
from service.errors import PROTOCOL, MalformedRequestError
from service.models.pool import Slot
from service.routes.inference_protocol import ERRORS
from service.routes.query import describe_body
from service.routes.state import AppState
from service.schemas.inference import IndexEntry, IndexRequest, LoadRequest, ProtocolError

READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"
LIMITS = BodyLimits(max_bytes=2**16, max_files=0)
NOT_LOADED = "It lies in the models folder, and is not loaded."
DEPENDENTS = "unload_dependents"
"""What Triton's clients send with each unload; no model here has any."""
LOAD = describe_body(LoadRequest, required=False)
REFUSED: dict[int | str, dict[str, Any]] = {
    422: {"model": ProtocolError, "description": "A bundle that fails; what served before serves on"}
}

router = APIRouter(prefix=f"{PROTOCOL}/repository", tags=["open inference protocol"], responses=ERRORS)


@router.post("/index", openapi_extra=describe_body(IndexRequest, required=False))
async def repository_index(request: Request, state: AppState) -> list[IndexEntry]:
    """Every version of every bundle that is served or lies in the models folder."""
    only_ready = (await _read(IndexRequest, request)).ready
    left_out = await asyncio.to_thread(state.loading.left_out)
    entries = [_entry(slot, state.pool.explain(slot)) for slot in state.pool]
    entries += [IndexEntry(name=r.name, version=str(r.version), state=UNAVAILABLE, reason=NOT_LOADED) for r in left_out]
    entries.sort(key=lambda each: (each.name, int(each.version)))
    return [each for each in entries if each.state == READY or not only_ready]


@router.post("/models/{name}/load", response_class=Response, openapi_extra=LOAD, responses=REFUSED)
async def load_model(request: Request, name: str, state: AppState) -> Response:
    """Verify, warm and serve every version of a bundle as it lies in the models folder now."""
    if parameters := (await _read(LoadRequest, request)).parameters:
        raise MalformedRequestError(
            f"Nothing can be chosen when a model is loaded, but there are {', '.join(parameters)[:200]}. Put the "
            "bundle into the models folder, and load it without parameters."
        )
    await state.loading.in_turn(state.loading.load_model, name)
    return Response()


@router.post("/models/{name}/unload", response_class=Response, openapi_extra=LOAD)
async def unload_model(request: Request, name: str, state: AppState) -> Response:
    """Serve no version of a bundle any more, until it is loaded again."""
    parameters = (await _read(LoadRequest, request)).parameters
    if unknown := parameters.keys() - {DEPENDENTS}:
        raise MalformedRequestError(f"There is no parameter {', '.join(sorted(unknown))[:200]}; leave it out.")
    await state.loading.in_turn(state.loading.unload_model, name)
    return Response()


async def _read(schema: type[Schema], request: Request) -> Schema:
    """A body that may be empty. Raises MalformedRequestError or UploadTooLargeError."""
    return parse_json(schema, await Body(request, LIMITS).read_all(_not_counted) or b"{}")


def _not_counted(*, num_bytes: int) -> None:
    """What has this limit is no part of what scoring may hold."""


def _entry(slot: Slot, reason: str | None) -> IndexEntry:
    state = READY if slot.detector else UNAVAILABLE if slot.failure else LOADING
    return IndexEntry(name=slot.name, version=str(slot.version), state=state, reason=reason or "")
