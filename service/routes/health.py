"""`GET /healthz`, `/readyz` and `/metrics`: for those who run the server."""

from collections.abc import Sequence
from contextlib import suppress

from fastapi import APIRouter, Request, Response, Security
from prometheus_client import CONTENT_TYPE_LATEST

from anomaly.bundle import Bundle
from service.edge.callers import BEARER, caller_of
from service.errors import EngineFailedError, HistoryUnavailableError
from service.routes.state import AppState, State
from service.schemas.health import HealthAnswer, ReadyAnswer

router = APIRouter(tags=["operation"])

DRIFT_S = 2.0
"""How long the series wait for the history's drift at the most: Prometheus itself gives up after 10 s."""


@router.get("/healthz")
async def healthz() -> HealthAnswer:
    """Alive: the process answers."""
    return HealthAnswer()


@router.get(
    "/readyz",
    response_model_exclude_none=True,
    responses={503: {"model": ReadyAnswer, "description": "Not able to score"}},
)
async def readyz(request: Request, response: Response, state: AppState) -> ReadyAnswer:
    """Able to score: all current bundles are settled, one at least is loaded, no stop is due, and all threads live.

    A bundle is settled when it is loaded or known to be broken. Where there are keys, a caller without one is not
    told which bundles these are.
    """
    slots, is_ready = state.pool.current if caller_of(request) else [], state.is_ready
    if not is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return ReadyAnswer(
        ready=is_ready,
        loaded=[slot.label for slot in slots if slot.detector],
        loading=[slot.label for slot in slots if not slot.is_settled],
        failed=[f"{slot.label}: {state.pool.explain(slot)}" for slot in slots if slot.failure],
        history=state.history.failure if state.history and caller_of(request) else None,
        message=EngineFailedError.MESSAGE if state.batcher.failure else None,
    )


@router.get(
    "/metrics",
    response_class=Response,
    dependencies=[Security(BEARER)],
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The series"}},
)
async def metrics(state: AppState) -> Response:
    """Counts and timings in Prometheus' text format."""
    bundles = [slot.detector.bundle for slot in state.pool.current if slot.detector]
    state.telemetry.expect(bundles)
    with suppress(HistoryUnavailableError):  # then the series of drift stay as they were
        await _show_drift(state, bundles)
    state.telemetry.show_refused((slot.name, slot.version, slot.failure is not None) for slot in state.pool)
    return Response(state.telemetry.exposition(), media_type=CONTENT_TYPE_LATEST)


async def _show_drift(state: State, bundles: Sequence[Bundle]) -> None:
    """Of the current versions: once a model is calibrated again, the alarm of the version before does not matter."""
    if state.history:
        watched = await state.history.drifts(bundles, within_s=DRIFT_S)
    else:
        watched = [state.drift.of(bundle) for bundle in bundles]
    state.telemetry.show_drift(zip(bundles, watched, strict=True))
