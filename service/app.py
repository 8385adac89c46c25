"""The HTTP service: `serve(read_settings(models="models"))`. An app owns all of its state; nothing is global."""

import asyncio
import logging
import shlex
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from urllib.parse import quote

from fastapi import Depends, FastAPI, Security
from fastapi_offline import FastAPIOffline

from anomaly.bundle import check_outside_versions, wrong_level
from anomaly.errors import AnomalyError, BundleError, BundleNotFoundError
from anomaly.inference import Detector, load_detector
from service.edge.access import GuardAccess, check_exposure, host_name
from service.edge.bodies import BodyLimits
from service.edge.callers import BEARER, Callers, IdentifyCallers, needs
from service.edge.certificates import Certificate
from service.edge.headers import SecureAnswers
from service.edge.heads import AnswerHeads
from service.edge.keys import Keyring, Scope
from service.edge.load_shedding import LoadShedding
from service.edge.prefix import StripPrefix
from service.edge.proxies import HeedProxies, TrustedProxies
from service.edge.request_log import NO_ROUTE, LogRequests, logging_to
from service.edge.server import Server, listen
from service.engine.admission import SHARE_OF_BATCH, Admission
from service.engine.batcher import Batcher
from service.engine.uploads import Uploads
from service.errors import EngineFailedError, answer_errors
from service.models.loading import Loader, Loading
from service.models.pool import Pool, Slot
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
from service.settings import SAMPLE, Settings, foreign_variables

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
    telemetry = Telemetry()
    certificate = Certificate(settings.tls_cert, settings.tls_key) if settings.tls_cert else None
    keyring = Keyring(settings.keys)
    callers = Callers(settings, keyring)
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
    load = load or partial(load_detector, device=settings.device, engine=settings.engine)

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
    loading = Loading(pool, find, load_warm)
    state = State(
        settings=settings,
        pool=pool,
        loading=loading,
        admission=admission,
        batcher=batcher,
        scoring=Scoring(admission, batcher, telemetry, drift, kept),
        body_limits=BodyLimits(max_bytes=settings.max_upload_bytes, max_files=settings.max_files),
        uploads=Uploads(settings, timed=telemetry.decoding),
        telemetry=telemetry,
        drift=drift,
        history=kept,
    )
    telemetry.watch_queue(lambda: admission.num_images, lambda: admission.age_s)
    telemetry.watch_keys(keyring.ends)
    if certificate:
        telemetry.watch_certificate(lambda: certificate.end)
    telemetry.watch_history(lambda: kept is not None and kept.failure is not None)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, State]]:
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

    def refresh() -> None:
        keyring.reload()
        try:
            loading.rescan()
        except (AnomalyError, OSError) as error:
            logger.error("the bundles stay as they were: %s", error)

    app = FastAPIOffline(
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
    _include_routes(app)
    answer_errors(app)
    proxies = TrustedProxies(settings.trusted_proxies)
    _add_middleware(app, settings, callers, proxies, telemetry)
    calls = [*calls_of(score.router.routes), *inference_protocol.SCORING]
    telemetry.expect_errors([*(path for _, path in calls), NO_ROUTE])
    app.state.shedding = LoadShedding(
        calls,
        full=lambda: admission.full_for(pool.detectors),
        callers=callers,
        observe=telemetry.observe_request,
        root_path=settings.root_path,
        proxies=proxies,
    )
    app.state.certificate = certificate
    app.state.refresh = refresh
    app.state.stop = admission.close
    return app


def serve(settings: Settings) -> None:
    """Serve until told to stop by a signal; then answer what was accepted, and return or exit with 0.

    Says on standard output where it listens, and what to try, once it can score. SIGHUP lets it take what has changed
    on disk: bundles, keys and certificate.
    Raises UsageError if it may not or cannot listen there, or its certificate cannot be used, BundleError if no bundle
    can be loaded, EngineFailedError if one of its threads dies.
    """
    check_exposure(settings)
    failures: list[AnomalyError] = []

    def give_up(error: AnomalyError) -> None:
        failures.append(error)
        server.should_exit = True

    def settle(pool: Pool) -> None:
        if pool.is_ready:
            print(_invitation(pool, settings, listener.getsockname()[:2]), flush=True)  # noqa: T201  # for the operator
        else:
            reasons = (_why_not(slot, pool.stand_in(slot)) for slot in pool.current)
            give_up(BundleError(" ".join(["No bundle can be served.", *reasons])))

    def fail(reason: str) -> None:
        give_up(EngineFailedError(f"The server cannot score any more and has stopped: {reason}. Start it again."))

    def refresh() -> None:
        app.state.refresh()
        server.renew_certificate()

    with suppress(KeyboardInterrupt), logging_to(sys.stderr, settings):
        app = create_app(settings, on_settled=settle, on_failure=fail)
        listener = listen(settings.host, settings.port)
        server = Server(app, settings, shedding=app.state.shedding, on_stop=app.state.stop)
        if foreign := ", ".join(foreign_variables()):
            logger.warning("these variables of the environment are no settings of the server: %s", foreign)
        signal.signal(signal.SIGTERM, _leave)  # uvicorn hands the signal on when it has shut down
        if hasattr(signal, "SIGHUP"):  # not on Windows
            signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=refresh, daemon=True).start())
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # now comes one that `anomaly serve` held
        server.run(sockets=[listener])
    if failures:
        raise failures[0]


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


def _invitation(pool: Pool, settings: Settings, address: tuple[str, int]) -> str:
    host, port = address
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # where to call what listens everywhere
    if settings.tls_cert and settings.allowed_hosts:
        host = host_name(settings.allowed_hosts[0])  # the certificate is for a name
    scheme = "https" if settings.tls_cert else "http"
    base = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{settings.root_path}"
    loaded = [slot for slot in pool.current if slot.detector]
    query = "" if pool.default_model else f"?model={quote(loaded[0].name, safe='')}"
    picture = SAMPLE if SAMPLE.exists() else "picture.png"
    key = "-H 'Authorization: Bearer KEY' " if settings.keys else ""
    trust = f"--cacert {shlex.quote(str(settings.tls_cert))} " if settings.tls_cert else ""
    return (
        f"Serving {', '.join(f'{slot.name} (version {slot.version})' for slot in loaded)} on {base}/\n"
        f"Open it in a browser, or try:\n\n  curl {trust}{key}-F file=@{picture} '{base}/score{query}'\n"
    )


def _why_not(slot: Slot, other: int | None) -> str:
    """Why a server without any other model does not start, and how it would with an older version."""
    why = f"{slot.label}: {(slot.failure or '').removesuffix('.')}."
    return (
        f"{why} To serve version {other}, take {slot.path} out of the models folder and start again." if other else why
    )


def _leave(signum: int, frame: FrameType | None) -> None:
    sys.exit(0)
