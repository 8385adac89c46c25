import json
import os
import shlex
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from anomaly.errors import BundleError, BundleNotFoundError, UsageError
from service import app, serving
from service.edge.keys import add_key, remove_key
from service.edge.server import listen
from service.serving import serve
from service.settings import Settings
from tests.cli.calls import done
from tests.service.certificates import make_certificate
from tests.service.fakes import TaggedDetector, add_bundle, load_tagged, png
from tests.service.records.history.test_versions import VERSION_1

PNG = {"Content-Type": "image/png"}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose bundles `serve` loads as tagged detectors."""

    def load(path: Path, *, device: str, engine: str) -> TaggedDetector:
        assert device == "cpu"
        return load_tagged(path)

    monkeypatch.setattr(app, "load_detector", load)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield tmp_path
    for number, handler in before.items():
        signal.signal(number, handler)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_serve_invites_scores_and_leaves_at_sigterm(
    models: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANOMALY_WORKERS", "3")
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
    (foreign,) = [each for each in caplog.messages if "no settings of the server" in each]
    assert "ANOMALY_WORKERS" in foreign


def test_the_invitation_names_a_model_where_there_is_no_default(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_bundle(models, "first")
    add_bundle(models, "second")
    monkeypatch.setattr(serving, "_invitation", leaving(serving._invitation))
    serve(Settings(models=models, host="::1", port=free_port(), device="cpu"))
    said = capsys.readouterr().out
    assert "/score?model=first'" in said
    assert "http://[::1]:" in said


def test_the_invitation_can_be_typed_whatever_the_names(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "Größe 5 % & 'mehr'"
    add_bundle(models / "served", name)
    add_bundle(models / "served", "z")
    made = make_certificate(tmp_path / "the keys")
    monkeypatch.setattr(serving, "_invitation", leaving(serving._invitation))
    serve(Settings(models=models / "served", port=free_port(), device="cpu", **made))
    (command,) = [line for line in capsys.readouterr().out.splitlines() if "curl" in line]
    words = shlex.split(command)
    assert words[:3] == ["curl", "--cacert", str(made["tls_cert"])]
    assert words[-1].isascii()
    assert dict(httpx.URL(words[-1]).params) == {"model": name}


def test_the_invitation_names_scheme_name_and_path_by_which_it_is_called(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_bundle(models / "served", "m")
    made = make_certificate(tmp_path / "tls")
    monkeypatch.setattr(serving, "_invitation", leaving(serving._invitation))
    port = free_port()
    names = ("plant.example",)
    serve(Settings(models=models / "served", port=port, device="cpu", root_path="a", allowed_hosts=names, **made))
    said = capsys.readouterr().out
    assert f"on https://plant.example:{port}/a/\n" in said
    assert f"--cacert {made['tls_cert']} -F file=@" in said
    assert f"'https://plant.example:{port}/a/score'" in said
    made["tls_key"].unlink()
    with pytest.raises(UsageError, match="--tls-key"):
        serve(Settings(models=models / "served", port=port, device="cpu", **made))


def test_sighup_takes_what_has_changed_and_never_harms(models: Path, tmp_path: Path) -> None:
    """The server is the main thread, as a supervisor has it; its visitor sends the signals."""
    add_bundle(models / "served", "m", 1)
    keys = tmp_path / "keys.txt"
    keys_of = [add_key(keys, "old", ["score"])]
    port = free_port()
    seen: list[object] = []

    def ask(key: str) -> httpx.Response:
        headers = PNG | {"Authorization": f"Bearer {key}"}
        return httpx.post(f"http://127.0.0.1:{port}/score", content=png(5), headers=headers, trust_env=False)

    def ask_until(key: str, expected: object) -> None:
        for _ in range(1000):
            with suppress(httpx.ConnectError):
                answer = ask(key)
                if expected in (answer.status_code, answer.json().get("version")):
                    seen.append(expected)
                    return
            time.sleep(0.01)

    def visit() -> None:
        ask_until(keys_of[0], 1)
        add_bundle(models / "served", "m", 2)
        keys_of.append(add_key(keys, "new", ["score"]))
        remove_key(keys, "old")
        os.kill(os.getpid(), signal.SIGHUP)
        ask_until(keys_of[1], 2)
        ask_until(keys_of[0], 401)
        (models / "served").rename(models / "gone")
        keys.unlink()
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.3)
        ask_until(keys_of[1], 2)
        os.kill(os.getpid(), signal.SIGINT)

    visitor = threading.Thread(target=visit)
    visitor.start()
    serve(Settings(models=models / "served", port=port, device="cpu", keys=keys))
    visitor.join()
    assert seen == [1, 2, 401, 2]


def test_a_hangup_that_comes_while_the_server_starts_is_heeded_and_does_not_end_it(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add_bundle(models / "served", "m")
    keys = tmp_path / "keys.txt"
    add_key(keys, "line-3", ["score"])
    early: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: early.append(number))
    create = app.create_app

    def create_slowly(*of: Any, **options: Any) -> FastAPI:
        made = create(*of, **options)
        add_key(keys, "ops", ["score"])
        signal.pthread_kill(threading.get_ident(), signal.SIGHUP)  # else a thread of another test would get it
        return made

    monkeypatch.setattr(serving, "create_app", create_slowly)
    monkeypatch.setattr(serving, "_invitation", leaving(serving._invitation))
    done("serve", "--models", models / "served", "--port", "0", "--device", "cpu", "--keys", keys)
    assert early == []
    assert "2 keys are in force" in caplog.text
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


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


def test_answers_are_sent_at_once() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_serve_gives_up_when_no_bundle_works(models: Path) -> None:
    add_bundle(models, "a", flaw="broken")
    add_bundle(models, "b", flaw="strange")
    with pytest.raises(BundleError, match=r"a/1: .*is corrupt.*b/1: "):
        serve(Settings(models=models, port=0, device="cpu"))


def test_what_is_said_before_the_server_listens_is_in_the_log_and_in_its_form(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_bundle(models, "m", 1)
    old = tmp_path / "old.sqlite"
    sqlite3.connect(old).executescript(VERSION_1).connection.close()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="Cannot listen"):
        serve(Settings(models=models, port=taken.getsockname()[1], device="cpu", history=old, log_format="json"))
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert line["level"] == "warning"
    assert "was of version 1" in line["message"]
