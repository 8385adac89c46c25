"""The HTTP service as an ASGI app. An app owns all of its state; nothing is global."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

from fastapi import Depends, FastAPI, Security
from fastapi_offline import FastAPIOffline
from starlette.types import Lifespan

from anomaly.bundle import check_outside_versions, wrong_level
from anomaly.errors import AnomalyError, BundleNotFoundError
from anomaly.inference import Detector, load_detector
from service.edge.access import GuardAccess
from service.edge.bodies import BodyLimits
from service.edge.callers import BEARER, Callers, IdentifyCallers, needs
from service.edge.certificates import Certificate
from service.edge.headers import SecureAnswers
from service.edge.heads import AnswerHeads
from service.edge.keys import Keyring, Scope
from service.edge.load_shedding import LoadShedding
from service.edge.prefix import StripPrefix
from service.edge.proxies import HeedProxies, TrustedProxies
from service.edge.request_log import NO_ROUTE, LogRequests
from service.engine.admission import SHARE_OF_BATCH, Admission
from service.engine.batcher import Batcher
from service.engine.uploads import Uploads
from service.errors import answer_errors
from service.models.loading import Loader, Loading
from service.models.pool import Pool
from service.models.repository import find_bundles
from service.records.drift import DriftWatch
from service.records.history import DriftStreams, History, Retention, store_of
from service.records.telemetry import Telemetry
from service.routes import admin, docs, health, history, inference_protocol, model_repository, models, page, score
from service.routes.direct import AnswerDirectly, calls_of
from service.routes.query import check_query
from service.routes.state import State
from service.schemas.base import ErrorAnswer
from service.scoring import Scoring
from service.settings import Settings

logger = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    *,
    load: Loader | None = None,
    on_settled: Callable[[Pool], None] | None = None,
    on_failure: Callable[[str], None] = lambda reason: None,
) -> FastAPI:
    """The app that serves the bundles under `settings.models`.

    `load` makes a detector of a bundle's folder. `on_settled` is called, in another thread, once the current versions
    are loaded or known to be broken. `on_failure` is called with the reason when the app cannot score any more and
    should be ended. `app.state.refresh()` takes what has changed on disk, bundles and keys. `app.state.shedding` tells
    the server which requests to refuse by their heads, `app.state.certificate` is what it shows. `app.state.stop()`
    says that the server is about to stop: it accepts no request any more, and is not ready.
    Raises BundleError or UsageError if there is nothing to serve, or certificate, keys or history cannot be read.
    """
    certificate = Certificate(settings.tls_cert, settings.tls_key) if settings.tls_cert else None
    keyring = Keyring(settings.keys)
    callers = Callers(settings, keyring)
    load = load or partial(load_detector, device=settings.device, engine=settings.engine)
    state = _new_state(settings, load, on_failure)
    telemetry, admission = state.telemetry, state.admission
    telemetry.watch_keys(keyring.ends)
    if certificate:
        telemetry.watch_certificate(lambda: certificate.end)

    app = _bare_app(settings, partial(_running, state, on_settled))
    _include_routes(app)
    answer_errors(app)
    proxies = TrustedProxies(settings.trusted_proxies)
    _add_middleware(app, settings, callers, proxies, telemetry)
    calls = [*calls_of(score.router.routes), *inference_protocol.SCORING]
    telemetry.expect_errors([*(path for _, path in calls), NO_ROUTE])
    app.state.shedding = LoadShedding(
        calls,
        full=lambda: admission.full_for(state.pool.detectors),
        callers=callers,
        observe=telemetry.observe_request,
        root_path=settings.root_path,
        proxies=proxies,
    )
    app.state.certificate = certificate
    app.state.refresh = partial(_refresh, keyring, state.loading)
    app.state.stop = admission.close
    return app


def _new_state(settings: Settings, load: Loader, on_failure: Callable[[str], None]) -> State:
    """All that an app has, before anything of it runs."""
    telemetry = Telemetry()
    batcher = Batcher(
        max_batch=settings.max_batch,
        max_wait_s=settings.max_wait_ms / 1000,
        max_batch_s=SHARE_OF_BATCH * settings.deadline_s,
        threads=settings.threads,
        observe=lambda detector, *timing: telemetry.observe_batch(detector.bundle, *timing),
        on_failure=on_failure,
    )
    admission = Admission(
        batcher, max_images=settings.max_queue, max_bytes=settings.max_queue_bytes, deadline_s=settings.deadline_s
    )

    def load_warm(path: Path) -> Detector:
        detector = load(path)
        with batcher.device:
            detector.warm(settings.max_batch)
        return detector

    drift = DriftWatch(settings.drift_rate)
    kept = _open_history(settings, telemetry)
    find = partial(find_bundles, settings.models)
    refs = find()
    if not refs and (why := wrong_level(settings.models)):
        raise BundleNotFoundError(why)
    pool = Pool(refs, default_model=settings.default_model)
    telemetry.watch_queue(lambda: admission.num_images, lambda: admission.age_s)
    telemetry.watch_history(lambda: kept is not None and kept.failure is not None)
    return State(
        settings=settings,
        pool=pool,
        loading=Loading(pool, find, load_warm),
        admission=admission,
        batcher=batcher,
        scoring=Scoring(admission, batcher, telemetry, drift, kept),
        body_limits=BodyLimits(max_bytes=settings.max_upload_bytes, max_files=settings.max_files),
        uploads=Uploads(settings, timed=telemetry.decoding),
        telemetry=telemetry,
        drift=drift,
        history=kept,
    )


@asynccontextmanager
async def _running(
    state: State, on_settled: Callable[[Pool], None] | None, app: FastAPI
) -> AsyncIterator[dict[str, State]]:
    """An app's lifespan: threads are started, and bundles loaded while it serves; at the end all is waited for."""
    batcher, loading, kept = state.batcher, state.loading, state.history
    batcher.start()
    if kept:
        kept.start()
    first_loads = asyncio.create_task(loading.in_turn(loading.load_all, on_settled))
    yield {"app_state": state}
    loading.stop()
    await batcher.close()
    if kept:
        await kept.close()
    await first_loads


def _refresh(keyring: Keyring, loading: Loading) -> None:
    keyring.reload()
    try:
        loading.rescan()
    except (AnomalyError, OSError) as error:
        logger.error("the bundles stay as they were: %s", error)


def _bare_app(settings: Settings, lifespan: Lifespan[FastAPI]) -> FastAPI:
    """An app without routes and middleware."""
    return FastAPIOffline(
        title="anomaly",
        version=version("anomaly"),
        description="Says of an image how abnormal it is, where, and with what confidence.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,  # what generated clients call it
        telemetry={"tracing": False, "metrics": False, "logs": False},  # the framework's, looked for on every request
        responses={"default": {"model": ErrorAnswer, "description": "Any error"}},
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        lifespan=lifespan,
    )


def _include_routes(app: FastAPI) -> None:
    app.include_router(score.router)  # for the documentation
    app.include_router(inference_protocol.router)
    app.include_router(model_repository.router, dependencies=[Security(needs(Scope.ADMIN))])
    app.include_router(admin.router, dependencies=[Security(needs(Scope.ADMIN)), Depends(check_query)])
    app.include_router(history.router, dependencies=[Security(needs(Scope.SCORE)), Depends(check_query)])
    app.include_router(models.router, dependencies=[Security(BEARER), Depends(check_query)])
    for routes in (health, docs, page):
        app.include_router(routes.router)


def _add_middleware(
    app: FastAPI, settings: Settings, callers: Callers, proxies: TrustedProxies, telemetry: Telemetry
) -> None:
    """A request passes the one that is added last first."""
    app.add_middleware(AnswerDirectly, routes=score.router.routes)
    app.add_middleware(AnswerHeads)
    app.add_middleware(IdentifyCallers, callers=callers)
    app.add_middleware(GuardAccess, settings=settings)
    if settings.trusted_proxies:
        app.add_middleware(HeedProxies, proxies=proxies)
    if settings.root_path:
        app.add_middleware(StripPrefix, root_path=settings.root_path)
    app.add_middleware(SecureAnswers)
    app.add_middleware(LogRequests, observe=telemetry.observe_request)


def _open_history(settings: Settings, telemetry: Telemetry) -> History | None:
    if settings.history is None:
        return None
    if isinstance(settings.history, Path):
        check_outside_versions(settings.history)
    retention = Retention(settings.history_days, settings.history_bytes)
    return History(
        store_of(settings.history),
        retention,
        thumbnails=settings.history_thumbnails,
        streams=DriftStreams(settings.drift_rate),
        on_failure=telemetry.count_unkept,
    )
