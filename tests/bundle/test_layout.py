import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from anomaly.bundle import BundleRef, list_bundles, load, resolve
from anomaly.bundle.layout import next_version
from anomaly.errors import BundleError, BundleNotFoundError
from service.models.repository import find_bundles
from tests.bundle.copies import copy_of
from tests.cli.calls import done


def make_versions(name: Path, *versions: int) -> None:
    for version in versions:
        (name / str(version)).mkdir(parents=True)
        (name / str(version) / "SHA256SUMS").touch()


def test_a_name_directory_is_its_highest_version_by_number(tmp_path: Path) -> None:
    make_versions(tmp_path / "name", 2, 10, 9)
    assert resolve(tmp_path / "name") == BundleRef("name", 10, tmp_path / "name" / "10")


def test_a_version_directory_is_itself(tmp_path: Path) -> None:
    make_versions(tmp_path / "name", 1, 2)
    assert resolve(tmp_path / "name" / "1") == BundleRef("name", 1, tmp_path / "name" / "1")


def test_a_name_may_be_a_number(tmp_path: Path) -> None:
    make_versions(tmp_path / "8", 3)
    assert resolve(tmp_path / "8") == BundleRef("8", 3, tmp_path / "8" / "3")
    assert resolve(tmp_path / "8" / "3") == BundleRef("8", 3, tmp_path / "8" / "3")


@pytest.mark.parametrize(
    ("here", "model"), [("models", "name"), ("models", "name/1"), ("models/name", "."), ("models/name", "1")]
)
def test_relative_paths(here: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_versions(tmp_path / "models" / "name", 1)
    monkeypatch.chdir(tmp_path / here)
    ref = resolve(Path(model))
    assert (ref.name, ref.version) == ("name", 1)
    assert ref.path.resolve() == tmp_path / "models" / "name" / "1"


def test_the_folder_one_stands_in(bigan_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with copy_of(bigan_dir / "1") as copied:
        monkeypatch.chdir(copied)
        bundle = load(Path())
        monkeypatch.undo()
    assert (bundle.name, bundle.version) == ("name", 1)


@pytest.mark.parametrize("model", ["missing", "empty", "name/7", "file", "name/1/README.md"])
def test_where_there_is_no_bundle_the_message_says_where_and_what_to_give(model: str, tmp_path: Path) -> None:
    make_versions(tmp_path / "name", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(BundleNotFoundError, match=rf"there is no bundle at {tmp_path}/{model}; give models/NAME"):
        resolve(tmp_path / model)


def test_a_list_is_sorted_and_passes_over_what_is_no_bundle(tmp_path: Path) -> None:
    make_versions(tmp_path / "b", 1)
    make_versions(tmp_path / "a", 10, 2)
    for other in ("a/.new-1234", "a/007", "a/latest", "a/-1", "a/0", ".hidden/1", "empty"):
        (tmp_path / other).mkdir(parents=True)
    (tmp_path / "a" / "3").touch()
    (tmp_path / "notes.txt").touch()
    assert [(ref.name, ref.version) for ref in list_bundles(tmp_path)] == [("a", 2), ("a", 10), ("b", 1)]
    assert list_bundles(tmp_path)[0].path == tmp_path / "a" / "2"


def test_a_folder_that_cannot_be_read_is_passed_over_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        make_versions(tmp_path / name, 1)
    (tmp_path / "circle").symlink_to("circle")
    listed = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self.name == "b":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    warnings: list[str] = []
    assert [ref.name for ref in list_bundles(tmp_path, warn=warnings.append)] == ["a", "c"]
    (warning,) = [each for each in warnings if "circle" not in each]
    assert f"{tmp_path / 'b'} is passed over, with all its versions: it cannot be read (Permission denied)" in warning
    assert [ref.name for ref in find_bundles(tmp_path)] == ["a", "c"]  # for a circle it asks where a link leads
    assert "b is passed over" in done("models", "list", tmp_path).stderr


def test_a_models_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def iterdir(self: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(BundleError, match="cannot be read: Permission denied; give this account the right"):
        list_bundles(tmp_path)


def test_a_list_of_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match="there is no folder"):
        list_bundles(tmp_path / "missing")


def test_the_next_version(tmp_path: Path) -> None:
    assert next_version(tmp_path / "new") == 1
    make_versions(tmp_path / "name", 2, 10)
    assert next_version(tmp_path / "name") == 11
    (tmp_path / "name" / "11").touch()  # a file of that name is in the way too
    assert next_version(tmp_path / "name") == 12
