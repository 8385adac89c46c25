import shutil
from pathlib import Path

import pytest

from anomaly.bundle import BundleRef, list_bundles, load
from anomaly.bundle.layout import CARD
from anomaly.errors import BundleNotFoundError
from anomaly.inference import Detector
from service.errors import BundleRefusedError, ModelNotFoundError, ModelUnavailableError
from service.models.loading import Loader, Loading
from service.models.pool import Pool
from tests.bundle.copies import sum_again
from tests.service.fakes import TaggedDetector, add_bundle, load_tagged


class Served:
    """A pool of what lies in a folder, and what loads into it; `loads` are the folders loaded so far."""

    def __init__(self, models: Path, loader: Loader = load_tagged) -> None:
        self.loads: list[str] = []

        def noted(path: Path) -> Detector:
            self.loads.append(f"{path.parent.name}/{path.name}")
            return loader(path)

        self.pool = Pool(list_bundles(models))
        self.loading = Loading(self.pool, lambda: list_bundles(models), noted)

    def started(self) -> "Served":
        self.loading.load_all()
        return self


def test_current_versions_are_loaded_first_and_then_it_is_settled(tmp_path: Path) -> None:
    for name, version in (("a", 1), ("a", 2), ("b", 3)):
        add_bundle(tmp_path, name, version)
    served = Served(tmp_path)
    assert not served.pool.is_settled
    served.loading.load_all(lambda pool: served.loads.append(f"settled {pool.is_settled}"))
    assert served.loads == ["a/2", "b/3", "settled True", "a/1"]


def test_what_a_rescan_has_loaded_before_is_not_loaded_again(tmp_path: Path) -> None:
    for version in (1, 2):
        add_bundle(tmp_path, "m", version)
    served = Served(tmp_path)
    served.loading.rescan()
    served.loading.load_all(lambda pool: served.loads.append(f"settled {pool.is_settled}"))
    assert served.loads == ["m/1", "m/2", "settled True"]


def test_stopping_ends_the_loading_after_the_current_bundle(tmp_path: Path) -> None:
    add_bundle(tmp_path, "a")
    add_bundle(tmp_path, "b")

    def load(path: Path) -> Detector:
        served.loading.stop()
        return load_tagged(path)

    served = Served(tmp_path, load)
    served.loading.load_all(lambda pool: pytest.fail("it has not settled"))
    assert served.loads == ["a/1"]
    assert [slot.is_settled for slot in served.pool] == [True, False]


def test_a_rescan_takes_what_has_come_and_a_higher_version_becomes_current(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    served = Served(tmp_path).started()
    add_bundle(tmp_path, "m", 2)
    add_bundle(tmp_path, "new", 7)
    found = {f"{slot.name}/{slot.version}" for slot in served.loading.rescan()}
    assert {"m/2", "new/7"} <= found
    assert served.pool.get("m", None).bundle.version == 2
    assert served.pool.get("m", 1).bundle.version == 1
    assert served.pool.get("new", None).bundle.version == 7


def test_a_new_version_that_fails_leaves_the_old_one_current_and_ready_and_is_reported(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    served = Served(tmp_path).started()
    add_bundle(tmp_path, "m", 2, flaw="broken")
    served.loading.rescan()
    assert served.pool.is_ready
    assert served.pool.get("m", None).bundle.version == 1
    assert "is corrupt" in str(served.pool.model("m").slots[2].failure)
    (tmp_path / "m" / "2" / "broken").unlink()
    served.loading.rescan()
    assert served.pool.get("m", None).bundle.version == 2
    assert served.pool.model("m").slots[2].failure is None


def test_a_bundle_rewritten_in_its_place_takes_over_only_if_it_works(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    served = Served(tmp_path).started()
    first = served.pool.get("m", 1)
    (tmp_path / "m" / "1" / "broken").touch()
    with pytest.raises(BundleRefusedError, match=r"'m', version 1, is refused: .*is corrupt"):
        served.loading.reload("m", 1)
    assert served.pool.get("m", 1) is first
    assert served.pool.is_ready
    (tmp_path / "m" / "1" / "broken").unlink()
    second = served.loading.reload("m", 1)
    assert served.pool.get("m", 1) is second
    assert second is not first


def test_the_old_one_serves_until_the_new_one_is_loaded(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    served = Served(tmp_path).started()
    first = served.pool.get("m", None)

    def load_watched(path: Path) -> Detector:
        loaded = load_tagged(path)
        assert served.pool.get("m", None) is first
        return loaded

    second = Loading(served.pool, lambda: list_bundles(tmp_path), load_watched).reload("m", None)
    assert served.pool.get("m", None) is second


def test_unchanged_files_are_not_loaded_again(bigan_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(bigan_dir, tmp_path / "m")
    served = Served(tmp_path, real).started()
    assert served.loading.rescan() == []
    assert served.loads == ["m/1"]


def real(path: Path) -> Detector:
    return TaggedDetector(load(path))


def test_what_is_gone_from_the_folder_serves_on(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    add_bundle(tmp_path, "m", 2)
    served = Served(tmp_path).started()
    shutil.rmtree(tmp_path / "m" / "2")
    served.loading.rescan()
    assert served.pool.get("m", None).bundle.version == 2
    shutil.rmtree(tmp_path)
    with pytest.raises(BundleNotFoundError):
        served.loading.rescan()
    assert served.pool.get("m", None).bundle.version == 2


def test_what_was_unloaded_comes_back_by_name_only(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    add_bundle(tmp_path, "m", 2)
    served = Served(tmp_path).started()
    served.loading.unload("m", 2)
    served.loading.rescan()
    assert list(served.pool.model("m").slots) == [1]
    assert served.pool.get("m", None).bundle.version == 1
    assert served.loading.reload("m", None).bundle.version == 2
    assert served.pool.get("m", None).bundle.version == 2
    served.loading.rescan()
    assert list(served.pool.model("m").slots) == [1, 2]


def test_another_bundle_of_the_number_of_one_that_was_unloaded_is_taken(
    bigan_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "m" / "2"
    for version in (1, 2):
        shutil.copytree(bigan_dir / "1", tmp_path / "m" / str(version))
    card = (folder / CARD).read_text()
    served = Served(tmp_path, real).started()
    served.loading.unload("m", 2)
    with caplog.at_level("INFO"):
        assert served.loading.rescan() == []
    assert "bundle m version 2 is passed over: it was unloaded" in caplog.text
    (folder / CARD).write_text(f"{card}Calibrated again.\n")
    sum_again(folder)
    assert [slot.version for slot in served.loading.rescan()] == [2]
    assert served.pool.get("m", None).bundle.version == 2
    (folder / CARD).write_text(card)
    sum_again(folder)
    assert [slot.version for slot in served.loading.rescan()] == [2]  # which is no longer unloaded


def test_a_bundle_that_had_failed_and_was_unloaded_is_passed_over_until_it_is_another(
    bigan_dir: Path, tmp_path: Path
) -> None:
    for version in (1, 2):
        shutil.copytree(bigan_dir / "1", tmp_path / "m" / str(version))
    folder = tmp_path / "m" / "2"
    card = (folder / CARD).read_text()
    (folder / CARD).write_text("torn")
    served = Served(tmp_path, real).started()
    assert served.pool.model("m").slots[2].failure
    served.loading.unload("m", 2)
    assert served.loading.rescan() == []
    shutil.rmtree(folder)
    assert served.loading.rescan() == []
    shutil.copytree(bigan_dir / "1", folder)
    (folder / CARD).write_text(f"{card}Calibrated again.\n")
    sum_again(folder)
    assert [slot.version for slot in served.loading.rescan()] == [2]


@pytest.mark.parametrize(("name", "version"), [("m", 3), ("other", None), ("other", 1), ("../m", 1), ("m/1", None)])
def test_only_what_lies_in_the_folder_can_be_loaded(tmp_path: Path, name: str, version: int | None) -> None:
    add_bundle(tmp_path, "m", 1)
    served = Served(tmp_path).started()
    with pytest.raises(ModelNotFoundError, match="models folder"):
        served.loading.reload(name, version)
    assert served.loads == ["m/1"]


def test_an_empty_slot_is_what_is_known_of_an_unknown_bundle(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    slot = Served(tmp_path).started().pool.slot(BundleRef("n", 4, tmp_path / "n" / "4"))
    assert (slot.name, slot.version, slot.is_settled) == ("n", 4, False)


def test_a_refusal_ends_when_the_files_that_are_served_lie_there_again(bigan_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m" / "1"
    shutil.copytree(bigan_dir / "1", folder)
    card = (folder / CARD).read_text()
    served = Served(tmp_path, real).started()
    (folder / CARD).write_text("torn")
    with pytest.raises(BundleRefusedError):
        served.loading.reload("m", 1)
    (folder / CARD).write_text(card)
    served.loading.rescan()
    assert served.pool.model("m").slots[1].failure is None


def test_a_refused_version_that_is_taken_out_of_the_folder_is_forgotten(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    add_bundle(tmp_path, "m", 2, flaw="broken")
    served = Served(tmp_path).started()
    shutil.rmtree(tmp_path / "m" / "2")
    served.loading.rescan()
    assert list(served.pool.model("m").slots) == [1]
    assert served.pool.get("m", None).bundle.version == 1
    assert served.pool.is_ready


@pytest.mark.parametrize("lost", ["the disk", "the model's folder"])
def test_where_all_of_a_model_is_gone_an_older_version_does_not_answer_for_a_refused_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lost: str
) -> None:
    """A disk that is not mounted looks like an empty folder, and nobody has asked for the older version's scores."""
    models, aside = tmp_path / "models", tmp_path / "aside"
    add_bundle(models, "m", 1)
    add_bundle(models, "m", 2, flaw="broken")
    if lost != "the disk":
        add_bundle(models, "other")
    served = Served(models).started()
    (models / "m").rename(aside)
    served.loading.rescan()
    with pytest.raises(ModelUnavailableError):
        served.pool.get("m", None)
    assert served.pool.get("m", 1).bundle.version == 1
    assert "bundle m version 2 stays refused: it is gone from the models folder, and so is version 1" in caplog.text
    assert ("the models folder has no bundle any more: is its disk there?" in caplog.text) == (lost == "the disk")
    aside.rename(models / "m")
    shutil.rmtree(models / "m" / "2")
    served.loading.rescan()
    assert served.pool.get("m", None).bundle.version == 1


def test_a_refused_version_in_whose_place_no_other_would_answer_is_forgotten_with_its_model(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", flaw="broken")
    add_bundle(tmp_path, "other")
    served = Served(tmp_path).started()
    shutil.rmtree(tmp_path / "m")
    served.loading.rescan()
    assert [model.name for model in served.pool.models] == ["other"]


def test_what_serves_on_is_no_longer_refused_once_its_new_files_are_gone(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m", 1)
    served = Served(tmp_path).started()
    (tmp_path / "m" / "1" / "broken").touch()
    served.loading.rescan()
    assert served.pool.model("m").slots[1].failure
    shutil.rmtree(tmp_path / "m" / "1")
    served.loading.rescan()
    assert served.pool.model("m").slots[1].failure is None
    assert served.pool.get("m", None).bundle.version == 1


def test_the_log_tells_how_an_older_version_can_answer_where_a_broken_one_is_current(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_bundle(tmp_path, "m", 1)
    add_bundle(tmp_path, "m", 2, flaw="broken")
    Served(tmp_path).started()
    assert "bundle m version 2 is refused: the bundle" in caplog.text
    assert f"version 1 answer, take {tmp_path / 'm' / '2'} out of the models folder" in caplog.text
