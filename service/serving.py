"""The server's process: it listens, heeds signals, and says on standard output what it serves.

`serve(read_settings(models="models"))`.
"""

import logging
import shlex
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from urllib.parse import quote

from anomaly.errors import AnomalyError, BundleError
from service.app import create_app
from service.edge.access import check_exposure, host_name
from service.edge.request_log import logging_to
from service.edge.server import Server, listen
from service.errors import EngineFailedError
from service.models.pool import Pool, Slot
from service.settings import SAMPLE, Settings, foreign_variables

logger = logging.getLogger(__name__)


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
