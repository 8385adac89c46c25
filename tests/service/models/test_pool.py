from dataclasses import replace
from pathlib import Path

import pytest

from anomaly.bundle import list_bundles
from anomaly.errors import BundleNotFoundError, UsageError
from service.errors import MalformedRequestError, ModelNotFoundError, ModelUnavailableError, NotReadyError
from service.models.loading import Loading
from service.models.pool import Pool
from tests.service.fakes import add_bundle, load_tagged


def pool(models: Path, *, default_model: str | None = None) -> Pool:
    return Pool(list_bundles(models), default_model=default_model)


def loaded(models: Path, *, default_model: str | None = None) -> Pool:
    filled = pool(models, default_model=default_model)
    Loading(filled, lambda: list_bundles(models), load_tagged).load_all()
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
    assert loaded(tmp_path, default_model="two").get(None, None).bundle.name == "two"


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


def test_a_broken_current_version_is_not_replaced_by_an_older_one_at_the_start(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    add_bundle(tmp_path, "m", 2, flaw="broken")
    filled = loaded(tmp_path)
    assert not filled.is_ready
    with pytest.raises(ModelUnavailableError):
        filled.get("m", None)
    assert filled.get("m", 1).bundle.version == 1


def test_dropping_the_current_version_makes_the_highest_loaded_one_current(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    add_bundle(tmp_path, "m", 2, flaw="broken")
    add_bundle(tmp_path, "m", 3)
    filled = loaded(tmp_path)
    filled.drop("m", 3)
    assert filled.get("m", None).bundle.version == 1
    filled.drop("m", 1)
    with pytest.raises(ModelUnavailableError):
        filled.get("m", None)
    filled.drop("m", 2)
    for query in (("m", None), (None, None)):
        with pytest.raises(ModelNotFoundError):
            filled.get(*query)
    assert list(filled) == []
    assert not filled.is_ready


def test_only_what_is_there_can_be_dropped(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    filled = loaded(tmp_path)
    for name, version in (("m", 2), ("other", 1)):
        with pytest.raises(ModelNotFoundError):
            filled.drop(name, version)
    assert filled.get("m", 1)


def test_what_a_reader_holds_is_not_altered(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    add_bundle(tmp_path, "m", 2)
    filled = loaded(tmp_path)
    held = filled.model("m")
    filled.drop("m", 2)
    assert list(held.slots) == [1, 2]
    assert list(filled.model("m").slots) == [1]


def test_a_broken_current_version_tells_which_call_lets_an_older_one_answer(tmp_path: Path) -> None:
    add_bundle(tmp_path, "a b", 1)
    add_bundle(tmp_path, "a b", 2)
    add_bundle(tmp_path, "a b", 3, flaw="broken")
    add_bundle(tmp_path, "a b", 4, flaw="broken")
    filled = loaded(tmp_path)
    told = "is corrupt. .* To have version 2 answer, take .*/4 out of .* POST /admin/unload.model=a%20b&version=4$"
    with pytest.raises(ModelUnavailableError, match=told):
        filled.get("a b", None)
    slots = filled.model("a b").slots
    assert filled.explain(slots[3]) == slots[3].failure  # it is not current
    assert filled.explain(slots[2]) is None
    filled.drop("a b", 4)
    assert filled.get("a b", None).bundle.version == 2


def test_where_a_refused_version_serves_on_no_other_is_named(tmp_path: Path) -> None:
    """Its new files are refused, and the old ones answer: nobody gets 503."""
    add_bundle(tmp_path, "m", 1)
    add_bundle(tmp_path, "m", 2)
    filled = loaded(tmp_path)
    filled.put(replace(filled.model("m").slots[2], failure="torn"))
    serving = filled.model("m").slots[2]
    assert filled.get("m", None).bundle.version == 2
    assert (filled.stand_in(serving), filled.explain(serving)) == (None, "torn")


def test_where_no_other_version_could_answer_none_is_named(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1, flaw="broken")
    add_bundle(tmp_path, "m", 2, flaw="broken")
    filled = loaded(tmp_path)
    current = filled.model("m").slots[2]
    assert filled.explain(current) == current.failure
    assert filled.stand_in(current) is None
