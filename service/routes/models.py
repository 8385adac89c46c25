"""`GET /models`, `/models/{name}` and `/models/{name}/drift`: which bundles there are, and whether they drift."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.models.pool import Slot
from service.routes.state import AppState
from service.schemas.base import ErrorAnswer
from service.schemas.drift import DriftAnswer, DriftQuery, DriftWindow
from service.schemas.models import ModelDetail, ModelsAnswer, ModelSummary, VersionDetail, VersionSummary

NOT_USABLE: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorAnswer, "description": "No such model or version"},
    503: {"model": ErrorAnswer, "description": "It is being loaded, or has failed; or the history cannot be read now"},
}

router = APIRouter(tags=["models"])


@router.get("/models")
async def models(state: AppState) -> ModelsAnswer:
    """All bundles, by name, each with its versions."""
    pool = state.pool
    return ModelsAnswer(
        models=[
            ModelSummary(
                name=model.name,
                is_default=model.name == pool.default_model,
                current=model.current,
                versions=[_summarise(slot, pool.explain(slot)) for slot in model.slots.values()],
            )
            for model in pool.models
        ],
        history=state.history is not None,
        alpha=state.settings.alpha,
        answer_within_s=state.settings.receive_limit_s + state.settings.deadline_s,
    )


@router.get("/models/{name}", responses={404: {"model": ErrorAnswer, "description": "No such model"}})
async def model(name: str, state: AppState) -> ModelDetail:
    """One bundle: cards, metrics, preprocessing of all its versions."""
    pool = state.pool
    found = pool.model(name)
    return ModelDetail(
        name=name,
        is_default=name == pool.default_model,
        current=found.current,
        versions=[_detail(slot, pool.explain(slot)) for slot in found.slots.values()],
    )


@router.get("/models/{name}/drift", responses=NOT_USABLE)
async def drift(name: str, query: Annotated[DriftQuery, Query()], state: AppState) -> DriftAnswer:
    """Whether what a model scores is still as its calibration images were."""
    bundle = state.pool.get(name, query.version).bundle
    (watched,) = await state.history.drifts([bundle]) if state.history else [state.drift.of(bundle)]
    found = watched.drift
    return DriftAnswer(
        model=bundle.name,
        version=bundle.version,
        digest=bundle.digest,
        rate=found.rate,
        num_scores=found.num_scores,
        log10_martingale=found.log10_martingale,
        max_log10_martingale=found.max_log10,
        alarm=found.alarm_at is not None,
        alarm_at=found.alarm_at,
        alarm_time=watched.alarm_time,
        trajectory=found.trajectory.points,
        window=DriftWindow(num=len(found.window), counts=list(found.window.counts)),
    )


def _summarise(slot: Slot, message: str | None) -> VersionSummary:
    if slot.detector is None:
        return VersionSummary(version=slot.version, status="failed" if slot.failure else "loading", message=message)
    bundle = slot.detector.bundle
    return VersionSummary(
        version=slot.version,
        status="loaded",
        message=message,
        digest=bundle.digest,
        method=bundle.manifest.recipe.training.method,
        num_calibration=slot.detector.calibration.num_calibration,
    )


def _detail(slot: Slot, message: str | None) -> VersionDetail:
    summary = dict(_summarise(slot, message))
    if slot.detector is None:
        return VersionDetail(**summary)
    bundle = slot.detector.bundle
    return VersionDetail(
        **summary,
        preprocess=slot.detector.preprocess,
        metrics=bundle.manifest.metrics,
        card=bundle.card,
        detectability=bundle.manifest.detectability,
    )
