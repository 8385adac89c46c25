from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.fakes import Instance, add_bundle, open_instance, png
from tests.service.routes.test_inference_protocol import infer, refusal

REPOSITORY = "/v2/repository"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def own(models: Path) -> Iterator[Instance]:
    """A server of this test's own, with its bundle m/1."""
    with open_instance(models) as opened:
        yield opened


def change(own: Instance, call: str, **request: Any) -> None:
    answer = own.client.post(f"{REPOSITORY}/models/m/{call}", **request)
    assert (answer.status_code, answer.content) == (200, b"")


def states(own: Instance, **body: Any) -> list[tuple[str, str, str]]:
    entries = own.client.post(f"{REPOSITORY}/index", json=body).json()
    assert all(set(each) == {"name", "version", "state", "reason"} for each in entries)
    return [(each["name"], each["version"], each["state"]) for each in entries]


def test_the_index_has_what_is_served_and_what_only_lies_there(own: Instance, models: Path) -> None:
    add_bundle(models, "m", 2, flaw="broken")
    add_bundle(models, "other", 10)
    assert states(own) == [("m", "1", "READY"), ("m", "2", "UNAVAILABLE"), ("other", "10", "UNAVAILABLE")]
    assert states(own, ready=True) == [("m", "1", "READY")]
    assert own.client.post(f"{REPOSITORY}/index").json()  # a body may be left out
    own.client.post("/admin/rescan")
    broken = own.client.post(f"{REPOSITORY}/index", json={}).json()[1]
    assert (broken["state"], "is corrupt" in broken["reason"]) == ("UNAVAILABLE", True)


def test_loading_takes_all_versions_that_lie_there_now(own: Instance, models: Path) -> None:
    add_bundle(models, "m", 2)
    add_bundle(models, "m", 3)
    change(own, "load", json={})
    assert own.client.get("/v2/models/m").json()["versions"] == ["1", "2", "3"]
    assert infer(own, png(1)).json()["model_version"] == "3"


def test_a_bundle_that_fails_is_named_and_the_others_serve(own: Instance, models: Path) -> None:
    add_bundle(models, "m", 2)
    add_bundle(models, "m", 3, flaw="broken")
    status, message = refusal(own.client.post(f"{REPOSITORY}/models/m/load"))
    assert (status, "version 3" in message, "is corrupt" in message) == (422, True, True)
    assert infer(own, png(1)).json()["model_version"] == "2"


def test_what_is_unloaded_stays_so_over_rescans_and_new_versions_until_it_is_loaded(
    own: Instance, models: Path
) -> None:
    change(own, "unload", json={"parameters": {"unload_dependents": False}})
    assert refusal(infer(own, png(1)))[0] == 404
    assert own.client.get("/v2/models/m/ready").status_code == 404
    add_bundle(models, "m", 2)
    own.client.post("/admin/rescan")
    own.app.state.refresh()
    assert states(own) == [("m", "1", "UNAVAILABLE"), ("m", "2", "UNAVAILABLE")]
    change(own, "load")
    assert states(own) == [("m", "1", "READY"), ("m", "2", "READY")]


def test_one_version_of_an_unloaded_model_comes_back_alone(own: Instance, models: Path) -> None:
    add_bundle(models, "m", 2)
    change(own, "unload")
    own.client.post("/admin/load?model=m&version=1")
    own.client.post("/admin/rescan")
    assert states(own, ready=True) == [("m", "1", "READY")]


def test_what_cannot_be_done_is_refused(own: Instance) -> None:
    def refused(path: str, **request: Any) -> tuple[int, str]:
        return refusal(own.client.post(f"{REPOSITORY}{path}", **request))

    assert refused("/models/other/load")[0] == 404
    assert refused("/models/other/unload")[0] == 404
    assert "config" in refused("/models/m/load", json={"parameters": {"config": "{}"}})[1]
    assert "version" in refused("/models/m/unload", json={"parameters": {"version": "1"}})[1]
    assert refused("/index", content=b"[]")[0] == 400
    assert refused("/index", content=bytes(2**16 + 1))[0] == 413
    assert infer(own, png(1)).status_code == 200
