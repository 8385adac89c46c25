"""`GET /models` and `GET /models/{name}`: which bundles there are, and what they tell of themselves."""

from fastapi import APIRouter

from service.pool import Slot
from service.routes.state import Parts
from service.schemas import ErrorAnswer, ModelDetail, ModelsAnswer, ModelSummary, VersionDetail, VersionSummary

router = APIRouter(tags=["models"])


@router.get("/models")
async def models(parts: Parts) -> ModelsAnswer:
    """All bundles, by name, each with its versions."""
    pool = parts.pool
    return ModelsAnswer(
        models=[
            ModelSummary(
                name=model.name,
                is_default=model.name == pool.default_model,
                current=model.current,
                versions=[_summarise(slot) for slot in model.slots.values()],
            )
            for model in pool.models
        ]
    )


@router.get("/models/{name}", responses={404: {"model": ErrorAnswer, "description": "No such model"}})
async def model(name: str, parts: Parts) -> ModelDetail:
    """One bundle: cards, metrics, preprocessing of all its versions."""
    pool = parts.pool
    found = pool.model(name)
    return ModelDetail(
        name=name,
        is_default=name == pool.default_model,
        current=found.current,
        versions=[_detail(slot) for slot in found.slots.values()],
    )


def _summarise(slot: Slot) -> VersionSummary:
    if slot.detector is None:
        return VersionSummary(
            version=slot.version, status="failed" if slot.failure else "loading", message=slot.failure
        )
    bundle = slot.detector.bundle
    return VersionSummary(
        version=slot.version,
        status="loaded",
        message=slot.failure,
        digest=bundle.digest,
        method=bundle.manifest.method,
        num_calibration=slot.detector.calibration.num_calibration,
    )


def _detail(slot: Slot) -> VersionDetail:
    summary = dict(_summarise(slot))
    if slot.detector is None:
        return VersionDetail(**summary)
    bundle = slot.detector.bundle
    return VersionDetail(
        **summary, preprocess=slot.detector.preprocess, metrics=bundle.manifest.metrics, card=bundle.card
    )
