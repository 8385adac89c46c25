import threading
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from anomaly.inference import Detector
from service.app import create_app
from service.routes.state import State
from service.settings import Settings
from tests.service.fakes import Instance, add_bundle, load_tagged, png, served
from tests.service.routes.test_score import code


def test_alive_and_ready(instance: Instance) -> None:
    assert instance.client.get("/healthz").json() == {"status": "alive"}
    ready = instance.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "loaded": ["m/1"], "loading": [], "failed": []}


def test_a_server_that_becomes_ready_meanwhile_does_not_contradict_itself(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Iterator[bool] = cycle([False, True])
    monkeypatch.setattr(State, "is_ready", property(lambda state: next(found)))
    for _ in range(3):
        answer = instance.client.get("/readyz")
        assert answer.json()["ready"] is (answer.status_code == 200) is ("Retry-After" not in answer.headers)
        assert instance.client.get("/v2/health/ready").json().get("ready", False) is not answer.json()["ready"]


def test_while_loading_it_is_alive_but_not_ready(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m")
    gate, settled = threading.Event(), threading.Event()

    def load(path: Path) -> Detector:
        assert gate.wait(10)
        return load_tagged(path)

    app = create_app(Settings(models=tmp_path), load=load, on_settled=lambda pool: settled.set())
    with served(app) as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["loading"]) == (503, ["m/1"])
        assert ready.headers["Retry-After"]
        assert client.get("/healthz").status_code == 200
        assert client.get("/models").json()["models"][0]["versions"][0]["status"] == "loading"
        early = client.post("/score", content=png(1), headers={"Content-Type": "image/png"})
        assert code(early) == (503, "not_ready")
        assert early.headers["Retry-After"]
        gate.set()
        assert settled.wait(10)
        assert client.get("/readyz").status_code == 200


def test_without_a_working_bundle_it_is_never_ready_and_says_why(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", flaw="broken")
    app = create_app(Settings(models=tmp_path), load=load_tagged)
    with served(app) as client:
        while client.get("/readyz").json()["loading"]:
            pass
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "is corrupt" in ready.json()["failed"][0]
