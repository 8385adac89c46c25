"""`GET /healthz`, `/readyz` and `/metrics`: for those who run the server."""

from fastapi import APIRouter, Request, Response, Security
from prometheus_client import CONTENT_TYPE_LATEST

from service.callers import BEARER, caller_of
from service.pool import Slot
from service.routes.state import Parts
from service.schemas import HealthAnswer, ReadyAnswer

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def healthz() -> HealthAnswer:
    """Alive: the process answers."""
    return HealthAnswer()


@router.get("/readyz", responses={503: {"model": ReadyAnswer, "description": "Not yet able to score"}})
async def readyz(request: Request, response: Response, parts: Parts) -> ReadyAnswer:
    """Able to score: every current bundle is loaded or known to be broken, one at least is loaded, and no stop is due.

    Which bundles these are is not for callers without a key, where there are keys.
    """
    pool = parts.pool
    told = pool.current if caller_of(request) else []
    is_ready = pool.is_ready and not parts.admission.is_closed
    if not is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return ReadyAnswer(
        ready=is_ready,
        loaded=[_name(slot) for slot in told if slot.detector],
        loading=[_name(slot) for slot in told if not slot.is_settled],
        failed=[f"{_name(slot)}: {slot.failure}" for slot in told if slot.failure],
    )


@router.get("/metrics", response_class=Response, dependencies=[Security(BEARER)])
async def metrics(parts: Parts) -> Response:
    """Counts and timings in Prometheus' text format."""
    return Response(parts.telemetry.exposition(), media_type=CONTENT_TYPE_LATEST)


def _name(slot: Slot) -> str:
    return f"{slot.name}/{slot.version}"
