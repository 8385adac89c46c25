"""Finding images in folders."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from anomaly.config import PreprocessConfig
from anomaly.data import left_out_sentences, read_all
from anomaly.data.datasets.images import find_images
from anomaly.data.files.listing import places_in, subfolders
from tests.bad_files import make_bad_files


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(root: Path) -> tuple[list[str], int]:
    inside = find_images(root)
    return [str(path.relative_to(root)) for path in inside.images], len(inside.left_out)


def test_images_are_found_recursively_sorted_by_path_and_others_counted(tmp_path: Path) -> None:
    touch(
        tmp_path, "b.png", "a/z.JPG", "a/b/c.tiff", "a.txt", "a/notes.md", "10.webp", "9.bmp", "a/.hidden.png", "noext"
    )
    images = ["10.webp", "9.bmp", "a/b/c.tiff", "a/z.JPG", "b.png"]
    assert found(tmp_path) == (images, 4)  # a hidden file is no picture, whatever its suffix


def test_images_in_formats_that_are_not_accepted_are_images_all_the_same(tmp_path: Path) -> None:
    touch(tmp_path, "a.gif", "b.heic", "c.csv")
    assert found(tmp_path) == (["a.gif", "b.heic"], 1)


def test_no_bad_file_is_left_out(tmp_path: Path) -> None:
    expected = make_bad_files(tmp_path)
    assert found(tmp_path) == (sorted(expected), 0)


def test_a_folder_named_like_an_image_takes_one_place(tmp_path: Path) -> None:
    touch(tmp_path, "x.png/inside.png", "y.png")
    assert found(tmp_path) == (["x.png", "y.png"], 0)


def test_links_to_folders_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    touch(tmp_path, "root/a/1.png", "elsewhere/2.png")
    root = tmp_path / "root"
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "up").symlink_to(root)
    assert found(root) == (["a/1.png", "linked/2.png"], 0)


def test_a_folder_that_cannot_be_listed_is_left_out_with_the_systems_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "locked/1.png", "open/2.png")
    scandir = os.scandir

    def refuse(folder: Path) -> Iterator["os.DirEntry[str]"]:
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert found(tmp_path) == (["open/2.png"], 1)
    assert left_out_sentences(find_images(tmp_path).left_out) == [
        f"left out: 1 folder that cannot be read, such as {tmp_path / 'locked'} (Permission denied)"
    ]
    locked = tmp_path / "locked"
    assert places_in(tmp_path) == [tmp_path / "open" / "2.png", locked]
    (error,) = read_all([(str(locked), locked)], PreprocessConfig(size=8, channels=1))
    assert str(error) == (
        f"{locked}: is a folder; left out: 1 folder that cannot be read, such as {locked} (Permission denied); allow "
        "reading it"
    )


def test_subfolders_are_sorted_and_not_hidden(tmp_path: Path) -> None:
    touch(tmp_path, "b/x", "a/x", ".git/x", "file")
    assert [path.name for path in subfolders(tmp_path)] == ["a", "b"]
