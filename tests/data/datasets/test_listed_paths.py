"""Paths as people write them into lists."""

import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from anomaly.data.datasets.listed_paths import Located, locate

Form = Literal["NFC", "NFD"]


def found(written: str, folder: Path) -> Path:
    place = locate(written, folder)
    assert isinstance(place, Located)
    assert place.is_there
    return place.path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    for name in ("img/a.png", " spaced .png", "back\\slash.png", "~"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("written", ["img/a.png", "./img/../img/a.png", " img/a.png ", "img\\a.png", ".\\img\\a.png "])
def test_spellings_of_one_file(folder: Path, written: str) -> None:
    assert found(written, folder).samefile(folder / "img" / "a.png")


@pytest.mark.parametrize("name", [" spaced .png", "back\\slash.png", "~"])
def test_what_exists_as_it_is_written_is_taken_so(folder: Path, name: str) -> None:
    assert found(name, folder) == folder / name


def test_home_and_absolute_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert found("~/img/a.png", folder / "img") == folder / "img" / "a.png"
    assert found("~\\img\\a.png", folder / "img") == folder / "img" / "a.png"
    assert found(f"{folder}/img/a.png", Path("/")) == folder / "img" / "a.png"


def test_links_are_the_file_they_lead_to(folder: Path) -> None:
    (folder / "link.png").symlink_to("img/a.png")
    (folder / "hard.png").hardlink_to(folder / "img" / "a.png")
    places = [locate(name, folder) for name in ("img/a.png", "link.png", "hard.png", "img/./a.png")]
    assert len({place.identity for place in places if isinstance(place, Located)}) == 1


def test_what_is_not_there_is_told_by_its_path(folder: Path) -> None:
    (folder / "broken.png").symlink_to("nowhere.png")
    for name in ("img\\b.png", "img/./b.png", "broken.png", "a\0.png"):
        place = locate(name, folder)
        assert isinstance(place, Located)
        assert not place.is_there
    assert locate("img\\b.png", folder) == locate("img/b.png", folder)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("C:\\data\\a.png", "is a path of a Windows machine"),
        ("d:/data/a.png", "is a path of a Windows machine"),
        ("\\\\server\\share\\a.png", "is a path of a Windows machine"),
        ("file:///data/a.png", "is a URL"),
        ("https://host/a.png", "is a URL"),
    ],
)
def test_paths_of_elsewhere_are_named(folder: Path, written: str, said: str) -> None:
    problem = locate(f" {written} ", folder)
    assert isinstance(problem, str)
    assert problem.startswith(f"{written} {said}")


@pytest.mark.parametrize(("on_disk", "written"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_letters_with_accents_in_the_other_form_of_unicode(tmp_path: Path, on_disk: Form, written: Form) -> None:
    name = "Präparate Übersicht/Schnitt ä.png"
    path = tmp_path / unicodedata.normalize(on_disk, name)
    path.parent.mkdir()
    path.touch()
    found = locate(unicodedata.normalize(written, name).replace("/", "\\"), tmp_path)
    assert isinstance(found, Located)
    assert (found.path, found.is_there) == (path, True)
    missing = locate(unicodedata.normalize(written, "ö.png"), tmp_path)
    assert isinstance(missing, Located)
    assert missing.path == tmp_path / unicodedata.normalize(written, "ö.png")
