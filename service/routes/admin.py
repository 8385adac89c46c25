"""`POST /admin/load`, `/admin/unload` and `/admin/rescan`: which bundles are served, changed while the server runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.routes.state import AppState
from service.schemas.base import ErrorAnswer, ModelIdentity
from service.schemas.models import BundleQuery, RescanAnswer, VersionQuery

ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorAnswer, "description": "No such bundle"},
    422: {"model": ErrorAnswer, "description": "A bundle that fails; what served before serves on"},
}

router = APIRouter(prefix="/admin", tags=["administration"], responses=ERRORS)


@router.post("/load")
async def load(query: Annotated[BundleQuery, Query()], state: AppState) -> ModelIdentity:
    """Verify and warm a bundle of the models folder, then serve it in the place of what was served by its name."""
    bundle = (await state.loading.in_turn(state.loading.reload, query.model, query.version)).bundle
    return ModelIdentity(model=bundle.name, version=bundle.version, digest=bundle.digest)


@router.post("/unload", status_code=204)
async def unload(query: Annotated[VersionQuery, Query()], state: AppState) -> None:
    """Stop serving a version, until it is loaded again.

    Requests that have begun are answered, but a form without `?model=` takes what is served when all of it has come.
    """
    await state.loading.in_turn(state.loading.unload, query.model, query.version)


@router.post("/rescan")
async def rescan(state: AppState) -> RescanAnswer:
    """Load every bundle of the models folder that is new, has changed or had failed. What is gone is still served."""
    slots = await state.loading.in_turn(state.loading.rescan)
    return RescanAnswer(
        loaded=[slot.label for slot in slots if not slot.failure],
        failed=[f"{slot.label}: {state.pool.explain(slot)}" for slot in slots if slot.failure],
    )
