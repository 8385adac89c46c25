"""`anomaly serve`."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from anomaly.cli.console import usage
from anomaly.extras import require


def serve(
    models: Annotated[Path | None, typer.Option(help="The folder that holds the bundles. Default: models.")] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; other than loopback needs --keys or --insecure. Default: 127.0.0.1."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: any free one. Default: 8000.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps. Default: auto.")] = None,
    engine: Annotated[str | None, typer.Option(help="auto, torch or onnxruntime. Default: auto.")] = None,
    default_model: Annotated[
        str | None, typer.Option(help="The bundle that answers where a request names none, if there are several.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="The file of API keys, made by `anomaly keys add`. Without: none are asked for.")
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(
            help="Keep what is scored, and people's corrections, in this SQLite file, or in the PostgreSQL database of "
            "this URL, postgresql://…. Without: nothing.",
        ),
    ] = None,
    history_thumbnails: Annotated[
        bool | None, typer.Option("--history-thumbnails", help="Keep a small picture of each image there too.")
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Listen on any address without access control.")
    ] = None,
    allowed_hosts: Annotated[
        str | None, typer.Option(help="Further names by which browsers call it, as plant.example,plant.example:8443.")
    ] = None,
    root_path: Annotated[
        str | None, typer.Option(help="The path under which a proxy shows it, such as /anomaly. Default: none.")
    ] = None,
    trusted_proxies: Annotated[
        str | None,
        typer.Option(help="Addresses or networks of proxies whose X-Forwarded-… is believed. Default: none."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Speak HTTPS with this certificate, a PEM file. Without: HTTP.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="The certificate's key, a PEM file. Default: it is in the certificate's file.")
    ] = None,
) -> None:
    """Serve the bundles over HTTP: POST /score, POST /score/batch, GET /models, and a page at /.

    What is not given here is taken from the environment (ANOMALY_PORT, ANOMALY_MAX_BATCH, …), as docs/guide.md lists.
    """
    with usage(), _holding_hangups():
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is: decoding needs the cores in between
        require_server()
        from service.serving import serve as serve_http
        from service.settings import read_settings

        serve_http(
            read_settings(
                models=models,
                host=host,
                port=port,
                device=device,
                engine=engine,
                default_model=default_model,
                keys=keys,
                history=history,
                history_thumbnails=history_thumbnails,
                insecure=insecure,
                allowed_hosts=allowed_hosts,
                root_path=root_path,
                trusted_proxies=trusted_proxies,
                tls_cert=tls_cert,
                tls_key=tls_key,
            )
        )


@contextmanager
def _holding_hangups() -> Iterator[None]:
    """SIGHUP, which lets a server read keys and bundles again, waits until the server takes it, and does not end it."""
    if not hasattr(signal, "SIGHUP"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def require_server() -> None:
    """Raises UsageError where a library of the extra `server` is not installed."""
    libraries = (
        "cryptography", "fastapi", "fastapi_offline", "httptools", "prometheus_client", "pydantic_settings",
        "python_multipart", "sqlalchemy", "uvicorn",
    )  # fmt: skip
    require("anomaly serve", "server", *libraries)
