"""Inputs of `anomaly score`: every image gets a place."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data import Why, expand_inputs, open_dataset
from anomaly.errors import UsageError


def write_image(path: Path, grey: int, shape: tuple[int, int] = (6, 9)) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, grey, np.uint8)).save(path)
    return str(path)


def test_named_files_keep_their_order_and_folders_are_expanded_in_place(tmp_path: Path) -> None:
    last, first = write_image(tmp_path / "z.png", 1), write_image(tmp_path / "a.png", 2)
    inside = [write_image(tmp_path / "folder" / name, 3) for name in ("1.png", "2.bmp", "sub/0.png")]
    (tmp_path / "folder" / "notes.txt").touch()
    (tmp_path / "folder" / "sub" / "more.csv").touch()
    named = [last, str(tmp_path / "folder"), first, last]
    paths, left_out = expand_inputs(named)
    assert paths == [last, *inside, first, last]
    assert [(Path(file.path).name, file.why) for file in left_out] == [
        ("notes.txt", Why.NO_IMAGE),
        ("more.csv", Why.NO_IMAGE),
    ]


def test_whatever_is_named_has_a_place(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    (tmp_path / "text.txt").touch()
    named = [str(tmp_path / name) for name in ("missing.png", "text.txt", "empty")]
    paths, left_out = expand_inputs(named)
    assert (paths, len(left_out)) == (named, 1)


def test_nothing_gives_nothing() -> None:
    assert expand_inputs([]) == ([], [])


def test_one_text_is_no_list_of_inputs(tmp_path: Path) -> None:
    path = write_image(tmp_path / "z.png", 1)
    with pytest.raises(UsageError, match=r"expected a list of paths, such as \['"):
        expand_inputs(path)


def test_an_empty_text_is_not_the_folder_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.png", 1)
    monkeypatch.chdir(tmp_path)
    for empty in ("", " "):
        with pytest.raises(UsageError, match="an input is an empty text, as where a variable is not set; give a path"):
            expand_inputs(["a.png", empty])
        with pytest.raises(UsageError, match="DATA is an empty text"):
            open_dataset(empty)
    assert expand_inputs(["."]) == (["a.png"], [])
