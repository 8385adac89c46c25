"""Empty texts on the command line, as unset variables leave them."""

from pathlib import Path

import pytest

from tests.cli.calls import call, done
from tests.digit_images import normals, write_images


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data", "DATA", "--groups", ""], "there is an empty text after --groups, as where a variable of the shell"),
        (["data", "DATA", "--groups="], "there is an empty text after --groups="),
        (["data", "DATA", "--normal", " "], "there is an empty text after --normal,"),
        (["data", ""], "there is an empty text as word 2,"),
        (["train", "DATA", "--out", "m", "--recipe", ""], "there is an empty text after --recipe,"),
        (["train", "DATA", "--out", "m", "--region", ""], "there is an empty text after --region,"),
        (["train", "DATA", "--out", ""], "there is an empty text after --out,"),
        (["score", "m", "", "--out", "r.csv"], "there is an empty text as word 3,"),
        (["models", "list", ""], "there is an empty text as word 3,"),
        (["serve", "--keys", ""], "there is an empty text after --keys,"),
        (["data", "DATA", "--normal", ","], "',' is a list without a name; give names"),
        ([""], "there is an empty text as word 1,"),
    ],
)
def test_an_empty_text_is_refused_and_told_from_one_that_is_not_given(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "DATA", normals()[:3])
    monkeypatch.chdir(tmp_path)
    result = call(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {said}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["DATA"]


def test_what_is_not_empty_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "a=", normals()[:3])
    monkeypatch.chdir(tmp_path)
    assert "a=: a folder of images: 3 normal" in done("data", "a=").stdout
