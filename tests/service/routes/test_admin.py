import base64
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from anomaly.inference import Detector
from service.app import create_app
from service.settings import Settings
from tests.service.fakes import Instance, TaggedDetector, add_bundle, load_tagged, open_instance, png, served
from tests.service.routes.test_score import code


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def own(models: Path) -> Iterator[Instance]:
    """A server of this test's own, with its bundle m/1."""
    with open_instance(models) as opened:
        yield opened


def test_a_bundle_is_loaded_and_takes_over(own: Instance, models: Path) -> None:
    add_bundle(models, "m", 2)
    assert own.score(png(1)).json()["version"] == 1
    loaded = own.client.post("/admin/load?model=m")
    assert (loaded.status_code, loaded.json()) == (200, {"model": "m", "version": 2, "digest": "digest of m/2"})
    assert own.score(png(1)).json()["version"] == 2
    assert own.score(png(1), version=1).json()["digest"] == "digest of m/1"
    (m,) = own.client.get("/models").json()["models"]
    assert (m["current"], [version["version"] for version in m["versions"]]) == (2, [1, 2])


def test_a_bundle_that_fails_is_refused_and_the_old_one_serves(own: Instance, models: Path) -> None:
    add_bundle(models, "m", 2, flaw="broken")
    for path in ("/admin/load?model=m", "/admin/load?model=m&version=2"):
        refused = own.client.post(path)
        assert code(refused) == (422, "bundle_refused")
        assert "is corrupt" in refused.json()["error"]["message"]
    assert own.score(png(1)).json()["version"] == 1
    assert own.client.get("/readyz").status_code == 200
    assert code(own.score(png(1), version=2)) == (503, "model_unavailable")


def test_reloading_a_spoilt_bundle_keeps_the_one_that_serves_and_reports_why(own: Instance, models: Path) -> None:
    (models / "m" / "1" / "broken").touch()
    assert code(own.client.post("/admin/load?model=m&version=1")) == (422, "bundle_refused")
    assert own.score(png(1)).json()["digest"] == "digest of m/1"
    (version,) = own.client.get("/models/m").json()["versions"]
    assert (version["status"], version["digest"]) == ("loaded", "digest of m/1")
    assert "is corrupt" in version["message"]


def test_unloading(own: Instance, models: Path) -> None:
    add_bundle(models, "m", 2)
    own.client.post("/admin/load?model=m")
    gone = own.client.post("/admin/unload?model=m&version=2")
    assert (gone.status_code, gone.content) == (204, b"")
    assert own.score(png(1)).json()["version"] == 1
    assert code(own.score(png(1), version=2)) == (404, "model_not_found")
    assert code(own.client.post("/admin/unload?model=m&version=2")) == (404, "model_not_found")
    own.client.post("/admin/unload?model=m&version=1")
    assert code(own.score(png(1))) == (404, "model_not_found")
    assert own.client.get("/readyz").status_code == 503
    assert own.client.post("/admin/load?model=m").status_code == 200
    assert own.score(png(1)).json()["version"] == 2


def test_a_rescan_tells_what_it_took_and_what_it_refused(own: Instance, models: Path) -> None:
    add_bundle(models, "n", 1)
    add_bundle(models, "n", 2, flaw="strange")
    answer = own.client.post("/admin/rescan").json()
    assert answer["loaded"] == ["m/1", "n/1"]  # the fake of m/1 has no sums by which to see that it has not changed
    assert [failure.partition(":")[0] for failure in answer["failed"]] == ["n/2"]
    assert own.score(png(3), model="n").json()["version"] == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/admin/load", (400, "invalid_parameter")),
        ("/admin/load?model=m&version=0", (400, "invalid_parameter")),
        ("/admin/unload?model=m", (400, "invalid_parameter")),
        ("/admin/load?model=other", (404, "model_not_found")),
        ("/admin/load?model=m&version=9", (404, "model_not_found")),
        ("/admin/load?model=..%2Fm", (404, "model_not_found")),
        ("/admin/load?model=m%00", (404, "model_not_found")),
    ],
)
def test_calls_that_are_refused(instance: Instance, path: str, expected: tuple[int, str]) -> None:
    assert code(instance.client.post(path)) == expected


def test_what_takes_over_is_warm(own: Instance, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[int] = []

    def warm(self: TaggedDetector, max_images: int) -> None:
        served.append(own.client.get("/models").json()["models"][0]["current"])

    monkeypatch.setattr(TaggedDetector, "warm", warm)
    add_bundle(models, "m", 2)
    own.client.post("/admin/load?model=m")
    assert own.score(png(1)).json()["version"] == 2
    assert served == [1]  # it was warmed while version 1 still served


def test_loads_that_wait_for_each_other_hold_up_no_image(models: Path) -> None:
    """The threads for all that blocks are few: as many loads as there are of them wait here."""
    add_bundle(models, "m")
    settled, begun, gate = threading.Event(), threading.Event(), threading.Event()

    def load(path: Path) -> Detector:
        if path.parent.name == "slow":
            begun.set()
            assert gate.wait(20)
        return load_tagged(path)

    settings = Settings(models=models, threads=2)
    app = create_app(settings, load=load, on_settled=lambda pool: settled.set())
    with served(app, settings) as client, ThreadPoolExecutor(40) as callers:
        assert settled.wait(10)
        add_bundle(models, "slow")
        asked = [callers.submit(client.post, "/admin/rescan") for _ in range(min(32, (os.cpu_count() or 1) + 4))]
        try:
            assert begun.wait(10)
            time.sleep(0.5)  # until the others are there
            image = base64.b64encode(png(5) + bytes(2**16)).decode()  # which is read in another thread
            sent = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [image]}]}
            answer = client.post("/v2/models/m/infer", json=sent, timeout=10)
        finally:
            gate.set()
        assert answer.json()["outputs"][0]["data"] == [5.0]
        assert {call.result().status_code for call in asked} == {200}
