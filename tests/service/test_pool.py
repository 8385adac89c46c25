from pathlib import Path

import pytest

from anomaly.bundle import list_bundles
from anomaly.errors import BundleNotFoundError, UsageError
from anomaly.inference import Detector
from service.errors import MalformedRequestError, ModelNotFoundError, ModelUnavailableError, NotReadyError
from service.pool import Pool
from tests.service.fakes import add_bundle, load_tagged


def pool(models: Path, *, default_model: str | None = None) -> Pool:
    return Pool(list_bundles(models), load_tagged, default_model=default_model)


def loaded(models: Path) -> Pool:
    filled = pool(models)
    filled.load()
    return filled


def test_a_name_means_its_highest_version_and_every_version_can_be_had(tmp_path: Path) -> None:
    for version in (1, 2, 10):
        add_bundle(tmp_path, "m", version)
    filled = loaded(tmp_path)
    assert filled.get("m", None).bundle.version == 10
    assert [filled.get("m", version).bundle.version for version in (1, 2, 10)] == [1, 2, 10]
    with pytest.raises(ModelNotFoundError, match="1, 2, 10"):
        filled.get("m", 3)


def test_the_default_is_the_only_one_or_the_configured_one(tmp_path: Path) -> None:
    add_bundle(tmp_path, "one")
    assert loaded(tmp_path).get(None, None).bundle.name == "one"
    add_bundle(tmp_path, "two")
    with pytest.raises(MalformedRequestError, match="one, two"):
        loaded(tmp_path).get(None, None)
    configured = pool(tmp_path, default_model="two")
    configured.load()
    assert configured.get(None, None).bundle.name == "two"


def test_nothing_to_serve_or_an_unknown_default_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match="anomaly train"):
        pool(tmp_path)
    add_bundle(tmp_path, "one")
    with pytest.raises(UsageError, match="'two' is not among the bundles: one"):
        pool(tmp_path, default_model="two")


def test_what_is_not_loaded_yet_is_not_ready(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m")
    with pytest.raises(NotReadyError):
        pool(tmp_path).get("m", None)


@pytest.mark.parametrize(("flaw", "reason"), [("broken", "is corrupt"), ("strange", "the server's log")])
def test_a_bundle_that_fails_to_load_harms_no_other(
    tmp_path: Path, flaw: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_bundle(tmp_path, "bad", flaw=flaw)
    add_bundle(tmp_path, "good")
    filled = loaded(tmp_path)
    assert filled.is_ready
    assert filled.get("good", None).bundle.name == "good"
    with pytest.raises(ModelUnavailableError, match=reason):
        filled.get("bad", None)
    assert "bad version 1" in caplog.text


def test_a_broken_current_version_is_not_replaced_by_an_older_one(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    add_bundle(tmp_path, "m", 2, flaw="broken")
    filled = loaded(tmp_path)
    assert not filled.is_ready
    with pytest.raises(ModelUnavailableError):
        filled.get("m", None)
    assert filled.get("m", 1).bundle.version == 1


def test_current_versions_are_loaded_first_and_then_it_is_settled(tmp_path: Path) -> None:
    for name, version in (("a", 1), ("a", 2), ("b", 3)):
        add_bundle(tmp_path, name, version)
    events: list[str] = []

    def load(path: Path) -> Detector:
        events.append(f"{path.parent.name}/{path.name}")
        return load_tagged(path)

    filled = Pool(list_bundles(tmp_path), load)
    assert not filled.is_settled
    filled.load(lambda: events.append("settled"))
    assert events == ["a/2", "b/3", "settled", "a/1"]


def test_a_loaded_detector_is_warm(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m")
    detectors = []

    def load(path: Path) -> Detector:
        detectors.append(load_tagged(path))
        return detectors[-1]

    Pool(list_bundles(tmp_path), load).load()
    assert detectors[0].batches == [1]


def test_stopping_ends_the_loading_after_the_current_bundle(tmp_path: Path) -> None:
    add_bundle(tmp_path, "a")
    add_bundle(tmp_path, "b")
    paths: list[Path] = []

    def load(path: Path) -> Detector:
        paths.append(path)
        stopped.stop()
        return load_tagged(path)

    stopped = Pool(list_bundles(tmp_path), load)
    stopped.load(lambda: pytest.fail("it has not settled"))
    assert len(paths) == 1
    assert [slot.is_settled for slot in stopped] == [True, False]
