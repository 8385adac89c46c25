"""Names that are not UTF-8, and consoles that cannot show every letter: the work is done, and what was done is said."""

import csv
import json
import os
import sys
from pathlib import Path

import pytest

from anomaly.bundle import load
from service.models.repository import find_bundles
from tests.bundle.copies import copy_of
from tests.cli.calls import TINY, refused, verbs_of
from tests.digit_images import digits, normals, write_images
from tests.field.programs import run_each
from tests.field.rows import Row

ODD = os.fsdecode(b"caf\xe9")  # Latin-1, as an old disk has it
_SECTION = "Names that are not UTF-8"
NOTES = {
    "csv": (Row(_SECTION, "results in `.csv`", "the bytes as they are"), b"byte for byte"),
    "jsonl": (
        Row(_SECTION, "results in `.jsonl`", r"`\udc80` to `\udcff`, as Python reads them"),
        rb"\udc80 to \udcff",
    ),
    "parquet": (Row(_SECTION, "results in `.parquet`", r"`\x80` to `\xff` as text"), rb"\x80 to \xff"),
}
MODEL_NAME = Row(_SECTION, "a model's name", "refused at the start of a training; passed over by `serve`")
ROWS = (*(row for row, _ in NOTES.values()), MODEL_NAME)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="such names are refused by other systems")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp932"])
def test_every_help_is_shown_by_every_console(encoding: str) -> None:
    verbs = verbs_of()
    for verb, ended in zip(verbs, run_each([(*v, "--help") for v in verbs], PYTHONIOENCODING=encoding), strict=True):
        assert ended.code == 0
        assert b"Usage" in ended.out, verb


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_every_verb_does_its_work_on_names_that_the_console_cannot_show(tmp_path: Path, encoding: str) -> None:
    folder = tmp_path / "検査"
    write_images(folder / "train" / "good", digits("train", "0")[:40])
    write_images(folder / "test" / "good", normals()[:9])
    write_images(folder / "test" / "傷", digits("test", "7")[:9])
    (folder / "test" / "傷" / "壊.png").write_text("no image")
    model, out = tmp_path / "models" / "線", tmp_path / "結果"
    calls: list[tuple[str | Path, ...]] = [
        ("train", folder, "--out", model, *TINY),
        ("calibrate", model, folder / "test" / "good"),
        ("score", model, folder / "test", "--alpha", ".2", "--out", tmp_path / "結果.csv", "--heatmaps", out),
        ("evaluate", model / "1", folder, "--out", tmp_path / "報告"),
        ("inspect", model, folder, "--out", tmp_path / "絵"),
        ("models", "list", tmp_path / "models"),
        ("models", "show", model),
        ("models", "verify", model),
        ("models", "show", tmp_path / "無い"),
    ]
    ended = run_each(calls, PYTHONIOENCODING=encoding)
    assert [each.code for each in ended] == [0, 0, 1, 1, 0, 0, 0, 0, 2]
    assert load(model).version == 2
    assert rb"\u7dda" in ended[0].out
    assert rb"\u7dda/2  (current)" in ended[5].out
    assert rb"there is no bundle at" in ended[8].err
    assert len(list(out.iterdir())) == 18
    with (tmp_path / "結果.csv").open(encoding="utf-8", newline="") as file:
        assert sum(row["path"].startswith(str(folder)) for row in csv.DictReader(file)) == 19
    assert {path.name for path in (tmp_path / "報告").iterdir()} >= {"metrics.json", "report.html"}


def test_a_bar_is_drawn_with_what_the_terminal_has(bigan_dir: Path, tmp_path: Path) -> None:
    images = write_images(tmp_path / "in", normals()[:2])[0].parent
    (ended,) = run_each(
        [("score", bigan_dir, images, "--out", tmp_path / "r.csv")], PYTHONIOENCODING="ascii", FORCE_COLOR="1"
    )
    assert ended.code == 0
    assert b"Scoring" in ended.err
    assert b"\\u" not in ended.err


@on_linux
def test_pictures_whose_names_are_not_utf8_are_trained_on_scored_and_evaluated(tmp_path: Path) -> None:
    folder = tmp_path / ODD
    write_images(folder / "train" / "good", digits("train", "0")[:40])
    write_images(folder / "test" / "good", normals()[:9])
    write_images(folder / "test" / ODD, digits("test", "7")[:9])
    (folder / "train" / "good" / f"{ODD}.png").write_text("no image")
    model = tmp_path / "model"
    images = folder / "test" / ODD
    train, evaluate, inspect, *scored = run_each(
        [
            ("train", folder, "--out", model, *TINY),
            ("evaluate", model, folder, "--out", tmp_path / "report"),
            ("inspect", model, folder, "--out", tmp_path / "pictures"),
            *(("score", model, images, "--out", tmp_path / f"r.{suffix}") for suffix in NOTES),
        ]
    )
    assert [each.code for each in (train, evaluate, inspect, *scored)] == [0] * 6
    assert load(model).manifest.data.source == str(tmp_path / r"caf\xe9")
    ((path, reason),) = csv.reader(read_text(model / "1.left_out.csv").splitlines()[1:])
    assert path == str(folder / "train" / "good" / f"{ODD}.png")
    assert reason.startswith(path)
    assert rb"caf\udce9" in evaluate.out
    assert r"caf\udce9" in (tmp_path / "report" / "report.html").read_text("utf-8")
    for (suffix, (_, said)), each in zip(NOTES.items(), scored, strict=True):
        assert b"9 paths are not UTF-8 text; r.%s has them " % suffix.encode() in each.err
        assert said in each.err
    first = str(folder / "test" / ODD / "0000.png")
    assert os.fsencode(first) in (tmp_path / "r.csv").read_bytes()
    assert json.loads((tmp_path / "r.jsonl").read_text("utf-8").splitlines()[0])["path"] == first


@on_linux
def test_a_models_name_that_is_not_utf8_is_refused_before_any_work(tmp_path: Path) -> None:
    message = refused("train", "digits", "--normal", "0", "--out", tmp_path / ODD, *TINY)
    assert r"caf\xe9 would be the model's name in addresses and reports, and is not UTF-8 text" in message
    assert list(tmp_path.iterdir()) == []


@on_linux
def test_a_bundle_that_was_given_such_a_name_is_used_by_hand_and_not_served(bigan_dir: Path) -> None:
    with copy_of(bigan_dir / "1") as copied:
        models = copied.parent.parent
        copied.parent.rename(models / ODD)
        verify, listed = run_each([("models", "verify", models / ODD), ("models", "list", models)])
        assert (verify.code, listed.code) == (0, 0)
        assert listed.out.startswith(rb"caf\udce9/1  (current)")
        assert find_bundles(models) == []


def read_text(path: Path) -> str:
    return path.read_text("utf-8", errors="surrogateescape")
