"""`anomaly inspect`: four pictures of what a model has learnt."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from tests.cli.calls import call, done, refused
from tests.digit_images import normals, write_images

NAMES = ["samples.png", "walk.png", "reconstructions.png", "curves.png"]


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_with_and_without_data(bigan_dir: Path, tmp_path: Path) -> None:
    for name, options in {"a": [], "b": ["digits", "--normal", "0"]}.items():
        result = done("inspect", bigan_dir, *options, "--out", tmp_path / name, "--device", "cpu")
        assert result.stdout.split() == [str(tmp_path / name / picture) for picture in NAMES]
        assert all(min(size_of(tmp_path / name / picture)) > 300 for picture in NAMES)
    narrow, wide = (size_of(tmp_path / name / "reconstructions.png")[0] for name in ("a", "b"))
    assert narrow < wide


def test_images_that_cannot_be_read_are_said(bigan_dir: Path, tmp_path: Path) -> None:
    path, *_ = write_images(tmp_path / "good", normals()[:3])
    path.write_text("no image")
    result = call("inspect", bigan_dir, tmp_path / "good", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "1 file could not be read and was left out:\n" in result.stderr
    why = result.stderr.partition("left out:\n")[2]
    assert why.startswith(f"{path}: ")
    assert "it begins with the text 'no image'" in why
    assert (tmp_path / "out" / "reconstructions.png").is_file()


def test_names_that_no_font_has_are_drawn_as_codes_and_one_sentence_says_so(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomaly.report.fonts.fontManager", SimpleNamespace(ttflist=[]))
    write_images(tmp_path / "test" / "good", normals()[:3])
    write_images(tmp_path / "test" / "凹凸", normals()[3:6])
    result = call("inspect", bigan_dir, tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert " ".join(result.stderr.split()).count("凹凸 is U+51F9 51F8") == 1
    assert "Glyph" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: does not exist"),
        (["digits"], "say it with --normal"),
        (["--normal", "0"], "no DATA is given"),
        (["--device", "warp"], "'warp'"),
        (["--out", "file"], "cannot write the pictures into file: File exists. Choose another folder"),
    ],
)
def test_mistakes(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    out = [] if "--out" in arguments else ["--out", "out"]
    assert said in refused("inspect", bigan_dir, *arguments, *out)
    assert not (tmp_path / "out").exists()


def test_there_has_to_be_a_bundle(tmp_path: Path) -> None:
    assert "there is no bundle" in refused("inspect", tmp_path, "--out", tmp_path / "out")


def test_a_picture_of_the_user_is_not_replaced(bigan_dir: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done("inspect", bigan_dir, "--out", tmp_path, "--device", "cpu")
    (tmp_path / "samples.png").write_bytes(b"mine")
    assert "samples.png exists and is not of an earlier run" in refused("inspect", bigan_dir, "--out", tmp_path)
    assert (tmp_path / "samples.png").read_bytes() == b"mine"
