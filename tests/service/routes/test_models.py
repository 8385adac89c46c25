from pathlib import Path

from service.app import create_app
from service.settings import Settings
from tests.service.fakes import House, add_bundle, load_tagged, served
from tests.service.routes.test_score import code


def test_a_loaded_bundle_tells_what_it_is(house: House) -> None:
    expected = {
        "version": 1, "status": "loaded", "message": None, "digest": "digest of m/1", "method": "bigan",
        "num_calibration": 99,
    }  # fmt: skip
    listed = house.client.get("/models").json()
    assert {"models": [{"name": "m", "is_default": True, "current": 1, "versions": [expected]}]} == listed
    (version,) = house.client.get("/models/m").json()["versions"]
    preprocess = {"size": 8, "channels": 1, "resize": "pad"}
    assert expected | {"preprocess": preprocess, "metrics": {"loss": 0.5}, "card": "# m"} == version


def test_an_unknown_name_is_a_404(house: House) -> None:
    assert code(house.client.get("/models/other")) == (404, "model_not_found")


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
