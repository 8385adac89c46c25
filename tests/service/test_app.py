import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from anomaly.errors import BundleError, BundleNotFoundError, UsageError
from service import app as service_app
from service.app import serve
from service.settings import Settings
from tests.service.fakes import House, TaggedDetector, add_bundle, load_tagged, png
from tests.service.routes.test_score import code

PNG = {"Content-Type": "image/png"}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose bundles `serve` loads as tagged detectors."""

    def load(path: Path, *, device: str) -> TaggedDetector:
        assert device == "cpu"
        return load_tagged(path)

    monkeypatch.setattr(service_app, "load_detector", load)
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_unknown_addresses_and_methods_have_the_one_shape_of_errors(house: House) -> None:
    assert code(house.client.get("/nowhere")) == (404, "not_found")
    wrong = house.client.get("/score")
    assert code(wrong) == (405, "method_not_allowed")
    assert wrong.headers["Allow"] == "POST"


def test_hosts_and_origins_are_guarded(house: House) -> None:
    assert code(house.client.get("/healthz", headers={"Host": "evil.example"})) == (400, "unknown_host")
    foreign = house.client.post("/score", content=png(1), headers=PNG | {"Origin": "https://evil.example"})
    assert code(foreign) == (403, "cross_site_request")
    own = house.client.post("/score", content=png(1), headers=PNG | {"Origin": str(house.client.base_url)})
    assert own.status_code == 200


def test_serve_invites_scores_and_leaves_at_sigterm(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_bundle(models, "m", 3)
    port = free_port()
    scores: list[float] = []

    def visit() -> None:
        said = ""
        while "curl" not in said:
            said += capsys.readouterr().out
            time.sleep(0.01)
        scores.append(httpx.post(f"http://127.0.0.1:{port}/score", content=png(5), headers=PNG).json()["score"])
        assert f"m (version 3) on http://127.0.0.1:{port}/" in said
        assert f"'http://127.0.0.1:{port}/score'" in said
        scores.append(0.0)
        os.kill(os.getpid(), signal.SIGTERM)

    visitor = threading.Thread(target=visit)
    visitor.start()
    with pytest.raises(SystemExit) as left:
        serve(Settings(models=models, port=port, device="cpu"))
    visitor.join()
    assert scores == [5.0, 0.0]
    assert not left.value.code


def test_the_invitation_names_a_model_where_there_is_no_default(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_bundle(models, "first")
    add_bundle(models, "second")
    monkeypatch.setattr(service_app, "_invitation", leaving(service_app._invitation))
    serve(Settings(models=models, host="::1", port=free_port(), device="cpu"))
    said = capsys.readouterr().out
    assert "/score?model=first'" in said
    assert "http://[::1]:" in said


def leaving(invite: object) -> object:
    """The same, but the server is interrupted as soon as it has invited."""

    def invite_and_leave(*of: object) -> object:
        threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
        return invite(*of)  # type: ignore[operator]

    return invite_and_leave


def test_serve_refuses_where_it_could_not_work(models: Path) -> None:
    with pytest.raises(BundleNotFoundError):
        serve(Settings(models=models / "missing", device="cpu"))
    with pytest.raises(BundleNotFoundError, match="no bundle to serve"):
        serve(Settings(models=models, device="cpu"))
    add_bundle(models, "m")
    with pytest.raises(UsageError, match="--insecure"):
        serve(Settings(models=models, host="192.0.2.1", device="cpu"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}: .*in use.*--port"):
            serve(Settings(models=models, port=port, device="cpu"))


def test_serve_gives_up_when_no_bundle_works(models: Path) -> None:
    add_bundle(models, "a", flaw="broken")
    add_bundle(models, "b", flaw="strange")
    with pytest.raises(BundleError, match=r"a/1: .*is corrupt.*b/1: "):
        serve(Settings(models=models, port=0, device="cpu"))
