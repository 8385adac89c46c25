"""The mark of pictures that this program draws."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data import DRAWINGS, heatmap_name, mark
from anomaly.data.files.outputs import is_output

PICTURE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def png() -> bytes:
    data = BytesIO()
    Image.fromarray(PICTURE).save(data, "PNG")
    return data.getvalue()


def test_a_marked_picture_is_the_same_picture_and_says_who_drew_it() -> None:
    with Image.open(BytesIO(mark(png()))) as image:
        assert np.array_equal(np.asarray(image), PICTURE)
        assert image.info["Software"] == "anomaly"
    with Image.open(BytesIO(mark(png()))) as image:
        image.verify()  # the sums of all chunks


@pytest.mark.parametrize("name", [*sorted(DRAWINGS), heatmap_name(3, "part 7"), heatmap_name(1_234_567, "x")])
def test_name_and_mark_tell(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(png())
    assert not is_output(tmp_path / name)
    (tmp_path / name).write_bytes(mark(png()))
    assert is_output(tmp_path / name)


def test_without_the_name_the_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Path, *_: object) -> None:
        raise AssertionError(f"{self} is opened")

    monkeypatch.setattr(Path, "open", never)
    assert not is_output(tmp_path / "part.png")


def test_what_cannot_be_read_is_left_to_the_reader(tmp_path: Path) -> None:
    (tmp_path / "roc.png").write_bytes(b"")
    assert not is_output(tmp_path / "roc.png")
    assert not is_output(tmp_path / heatmap_name(0, "missing"))
