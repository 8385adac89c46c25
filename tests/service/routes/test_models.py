from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from anomaly.bundle import Contents
from service.app import create_app
from service.settings import Settings
from tests.bundle.records import make_record
from tests.service.fakes import NOT_FINITE, Instance, add_bundle, load_tagged, open_instance, png, served
from tests.service.records.test_telemetry import value
from tests.service.routes.test_score import code
from tests.service.test_load import eventually


def test_a_loaded_bundle_tells_what_it_is(instance: Instance) -> None:
    expected = {
        "version": 1, "status": "loaded", "message": None, "digest": "digest of m/1", "method": "bigan",
        "num_calibration": 99,
    }  # fmt: skip
    listed = instance.client.get("/models").json()
    assert {
        "models": [{"name": "m", "is_default": True, "current": 1, "versions": [expected]}],
        "history": False,
        "alpha": 0.05,
        "answer_within_s": 150.0,
    } == listed
    (version,) = instance.client.get("/models/m").json()["versions"]
    preprocess = {"size": 8, "channels": 1, "resize": "pad", "scale": "auto", "range": 16, "region": None}
    detail = {"preprocess": preprocess, "metrics": {"loss": 0.5}, "card": "# m", "detectability": None}
    assert expected | detail == version


def test_a_version_tells_how_small_a_defect_it_finds(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    record = make_record()
    manifest = instance.detector.bundle.manifest.model_copy(update={"detectability": record})
    contents = cast("Contents", SimpleNamespace(manifest=manifest, calibration=instance.detector.calibration))
    monkeypatch.setattr(instance.detector, "bundle", replace(instance.detector.bundle, contents=contents))
    (version,) = instance.client.get("/models/m").json()["versions"]
    assert version["detectability"] == record.model_dump()
    assert version["detectability"]["cells"][1]["low"] == 0.7


def test_an_unknown_name_is_a_404(instance: Instance) -> None:
    assert code(instance.client.get("/models/other")) == (404, "model_not_found")


def test_a_broken_bundle_is_reported_beside_the_others(tmp_path: Path) -> None:
    add_bundle(tmp_path, "bad", flaw="broken")
    add_bundle(tmp_path, "good", 1)
    add_bundle(tmp_path, "good", 2)
    app = create_app(Settings(models=tmp_path), load=load_tagged)
    with served(app) as client:
        while client.get("/readyz").json()["loading"]:
            pass
        bad, good = client.get("/models").json()["models"]
        assert (bad["versions"][0]["status"], bad["is_default"]) == ("failed", False)
        assert "is corrupt" in bad["versions"][0]["message"]
        assert [version["version"] for version in good["versions"]] == [1, 2]
        assert client.get("/models/bad").json()["versions"][0]["status"] == "failed"
        headers = {"Content-Type": "image/png"}
        unavailable = client.post("/score?model=bad", content=b"x", headers=headers)
        assert code(unavailable) == (503, "model_unavailable")
        assert unavailable.headers["Retry-After"]
        assert code(client.post("/score", content=b"x", headers=headers)) == (400, "malformed_request")


def test_where_a_broken_version_is_current_everybody_is_told_what_lets_an_older_one_answer(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    add_bundle(tmp_path, "m", 2, flaw="broken")
    add_bundle(tmp_path, "other")
    app = create_app(Settings(models=tmp_path), load=load_tagged)
    with served(app) as client:
        while client.get("/readyz").json()["loading"]:
            pass
        call = "/admin/unload?model=m&version=2"
        scored = client.post("/score?model=m", content=png(1), headers={"Content-Type": "image/png"})
        told = [
            client.get("/readyz").json()["failed"][0],
            client.get("/models").json()["models"][0]["versions"][1]["message"],
            client.get("/models/m").json()["versions"][1]["message"],
            client.post("/v2/repository/index").json()[1]["reason"],
            client.post("/admin/rescan").json()["failed"][0],
            client.post("/admin/load?model=m&version=2").json()["error"]["message"],
            client.post("/v2/repository/models/m/load").json()["error"],
            scored.json()["error"]["message"],
        ]
        assert [text for text in told if not text.endswith(f"is corrupt. {told[0].partition('corrupt. ')[2]}")] == []
        assert told[0].endswith(f"POST {call}")
        client.post(call)
        again = client.post("/score?model=m", content=png(1), headers={"Content-Type": "image/png"})
        assert (scored.status_code, again.status_code) == (503, 200)


def test_drift_of_a_model_is_told_from_its_first_score_on(tmp_path: Path) -> None:
    with open_instance(tmp_path, drift_rate=0.02) as instance:
        fresh = instance.client.get("/models/m/drift").json()
        assert fresh == {
            "model": "m", "version": 1, "digest": "digest of m/1", "rate": 0.02, "num_scores": 0,
            "log10_martingale": 0.0, "max_log10_martingale": 0.0, "alarm": False, "alarm_at": None, "alarm_time": None,
            "trajectory": [[0, 0.0]], "window": {"num": 0, "counts": [0] * 20},
        }  # fmt: skip
        instance.score(png(3))
        instance.batch(png(94), b"text", png(NOT_FINITE), png(30))
        seen = instance.client.get("/models/m/drift", params={"version": 1}).json()
        assert (seen["num_scores"], seen["alarm"], seen["window"]["num"]) == (3, False, 3)
        assert [seen["window"]["counts"][i] for i in (1, 13, 19)] == [1, 1, 1]  # p = 0.06, 0.70, 0.97
        assert [n for n, _ in seen["trajectory"]] == [0, 1, 2, 3]
        assert value(instance, 'anomaly_drift_log10_martingale{model="m",version="1"}') == seen["log10_martingale"]
        assert value(instance, 'anomaly_drift_alarm{model="m",version="1"}') == 0


def test_a_stream_that_is_all_beyond_the_calibration_sets_off_the_alarm_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_instance(tmp_path) as instance:
        for _ in range(4):
            instance.batch(png(1000), png(2000), png(3000))
        drift = instance.client.get("/models/m/drift").json()
        assert drift["alarm"] is True
        assert 1 <= drift["alarm_at"] <= 12
        assert drift["alarm_time"]
        assert drift["max_log10_martingale"] >= 2
        assert value(instance, 'anomaly_drift_alarm{model="m",version="1"}') == 1
    told = [record.getMessage() for record in caplog.records if record.name == "service.records.drift"]
    assert len(told) == 1
    assert f"(after {drift['alarm_at']} images, false-alarm rate 0.01)" in told[0]


def test_each_bundle_has_a_drift_of_its_own(tmp_path: Path) -> None:
    add_bundle(tmp_path, "other")
    with open_instance(tmp_path) as instance:
        eventually(lambda: not instance.client.get("/readyz").json()["loading"])
        instance.score(png(1), model="m")
        counts = [instance.client.get(f"/models/{name}/drift").json()["num_scores"] for name in ("m", "other")]
        assert counts == [1, 0]
        assert code(instance.client.get("/models/x/drift")) == (404, "model_not_found")
        assert code(instance.client.get("/models/m/drift?version=2")) == (404, "model_not_found")
        assert code(instance.client.get("/models/m/drift?version=0")) == (400, "invalid_parameter")
