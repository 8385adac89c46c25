import threading
from pathlib import Path

from anomaly.inference import Detector
from service.app import create_app
from service.settings import Settings
from tests.service.fakes import Instance, add_bundle, load_tagged, png, served
from tests.service.routes.test_score import code


def test_alive_and_ready(instance: Instance) -> None:
    assert instance.client.get("/healthz").json() == {"status": "alive"}
    ready = instance.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "loaded": ["m/1"], "loading": [], "failed": []}


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
