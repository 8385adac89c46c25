"""`anomaly score`: one row an image, in order, whatever becomes of the others."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from anomaly.calibration import reject_fdr
from anomaly.data import decode
from anomaly.inference import load_detector
from tests.bad_files import make_bad_files
from tests.cli.calls import call, done, read_rows, refused
from tests.digit_images import normals, others, write_images

MNIST = Path(__file__).parents[2] / "models" / "mnist"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    return write_images(folder, np.concatenate([normals()[:12], others()[:12]]))


def assert_same_scores(expected: dict[str, str], actual: dict[str, str]) -> None:
    """Of one image in two batches: the same but for the rounding of another batch size."""
    texts = ("path", "is_anomalous", "warning", "error")
    assert {name: expected[name] for name in texts} == {name: actual[name] for name in texts}
    numbers = [name for name in expected if name not in texts]
    assert [float(actual[name]) for name in numbers] == pytest.approx(
        [float(expected[name]) for name in numbers], rel=1e-5
    )


def test_csv_says_what_python_says(bigan_dir: Path, images: list[Path], tmp_path: Path) -> None:
    result = done("score", bigan_dir, *images, "--out", tmp_path / "r.csv", "--device", "cpu")
    rows = read_rows(tmp_path / "r.csv")
    scores = load_detector(bigan_dir, device="cpu").score(images)
    assert [str(path) for path in images] == [row["path"] for row in rows]
    assert scores.score.tolist() == [float(row["score"]) for row in rows]
    assert scores.p_value.tolist() == [float(row["p_value"]) for row in rows]
    assert [str(verdict).lower() for verdict in scores.is_anomalous] == [row["is_anomalous"] for row in rows]
    assert {str(scores.threshold)} == {row["threshold"] for row in rows}
    for name, values in scores.terms.items():
        assert values.tolist() == [float(row[name]) for row in rows]
    assert {""} == {row["error"] for row in rows}
    assert list(rows[0]) == ["path", "score", "p_value", "is_anomalous", "threshold", *scores.terms, "warning", "error"]
    num_anomalous = sum(map(bool, scores.is_anomalous))
    assert 0 < num_anomalous < len(images)
    assert f"{len(images)} rows in {tmp_path / 'r.csv'}: {num_anomalous} anomalous, 0 without a score" in result.stdout


def test_the_row_of_a_file_with_further_pages_says_that_nobody_looked_at_them(bigan_dir: Path, tmp_path: Path) -> None:
    """Also with a model that does not know the sizes that calibrated; and the first such file is named."""
    (tmp_path / "in").mkdir()
    pages = [Image.fromarray(image) for image in normals()[:3]]
    for name in ("b", "c"):
        pages[0].save(tmp_path / "in" / f"{name}.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "in" / "a.tif")
    told = "there are several pages or frames, of which only the first was read"
    for model in (bigan_dir, MNIST):
        result = done("score", model, tmp_path / "in", "--out", tmp_path / "r.csv", "--device", "cpu")
        assert [row["warning"] for row in read_rows(tmp_path / "r.csv")] == ["", told, told]
        named = f"2 of the images, such as {tmp_path / 'in' / 'b.tif'}: {told}"
        assert named in " ".join(result.stderr.split())


def test_all_three_formats_say_the_same(bigan_dir: Path, images: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    for suffix in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"r.{suffix}"
        assert call("score", bigan_dir, *images[:5], tmp_path / "text.png", "--out", out).exit_code == 1
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert lines == parquet.read_table(tmp_path / "r.parquet").to_pylist()
    for row, line in zip(read_rows(tmp_path / "r.csv"), lines, strict=True):
        assert {name: "" if value is None else str(value) for name, value in line.items()} == {
            name: value.capitalize() if name == "is_anomalous" else value for name, value in row.items()
        }
    failed = lines[-1]
    assert failed.pop("path") == str(tmp_path / "text.png")
    assert str(tmp_path / "text.png") in failed.pop("error")
    assert set(failed.values()) == {None}


def test_rows_come_in_the_order_of_the_inputs_and_folders_sorted(
    bigan_dir: Path, images: list[Path], tmp_path: Path
) -> None:
    inside = write_images(tmp_path / "folder" / "sub", normals()[:3]) + write_images(tmp_path / "folder", normals()[:2])
    (tmp_path / "folder" / "notes.txt").touch()
    inputs = [images[5], tmp_path / "folder", images[1], images[5]]
    result = done("score", bigan_dir, *inputs, "--out", tmp_path / "r.csv")
    expected = [images[5], *sorted(inside), images[1], images[5]]
    rows = read_rows(tmp_path / "r.csv")
    assert [str(path) for path in expected] == [row["path"] for row in rows]
    assert rows[0] == rows[-1]
    assert "1 other file skipped" in result.stdout


def test_what_scoring_itself_makes_in_the_folder_is_not_counted_as_skipped(bigan_dir: Path, tmp_path: Path) -> None:
    write_images(tmp_path, normals()[:2])
    result = done("score", bigan_dir, tmp_path, "--out", tmp_path / "r.csv", "--heatmaps", tmp_path / "maps")
    assert result.stdout.endswith("2 rows in " + f"{tmp_path / 'r.csv'}: 0 anomalous, 0 without a score\n")


def test_bad_files_get_their_reason_and_change_no_neighbour(
    bigan_dir: Path, images: list[Path], tmp_path: Path
) -> None:
    expected = make_bad_files(tmp_path / "bad")
    bad = sorted(str(tmp_path / "bad" / name) for name in expected)
    assert sum(outcome == "error" for outcome in expected.values()) >= 50
    mixed = [path for pair in zip(bad, [str(p) for p in images] * 4, strict=False) for path in pair]
    assert call("score", bigan_dir, *mixed, "--out", tmp_path / "r.csv").exit_code == 1
    done("score", bigan_dir, *images, "--out", tmp_path / "alone.csv")
    alone = {row["path"]: row for row in read_rows(tmp_path / "alone.csv")}
    rows = read_rows(tmp_path / "r.csv")
    assert mixed == [row["path"] for row in rows]
    for bad_row, neighbour in zip(rows[::2], rows[1::2], strict=True):
        assert_same_scores(alone[neighbour["path"]], neighbour)
        name = Path(bad_row["path"]).name
        assert (expected[name] == "error") == bool(bad_row["error"]), name
        assert bool(bad_row["score"]) != bool(bad_row["error"])
        assert not bad_row["error"] or bad_row["path"] in bad_row["error"]


def test_exit_code_2_when_nothing_could_be_scored(bigan_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    result = call("score", bigan_dir, tmp_path / "text.png", tmp_path / "missing.png", "--out", tmp_path / "r.csv")
    assert result.exit_code == 2
    assert "2 rows" in result.stdout
    assert [bool(row["error"]) for row in read_rows(tmp_path / "r.csv")] == [True, True]


def test_the_first_reasons_are_told(bigan_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    Image.new("L", (40, 40)).save(tmp_path / "large.png")
    bad = [tmp_path / "missing.png", tmp_path / "empty", tmp_path / "large.png"]
    more = [tmp_path / f"{number}.png" for number in range(2)]
    limit = ("--out", tmp_path / "r.csv", "--max-pixels", "1000")
    result = call("score", bigan_dir, *bad, *limit)
    assert result.stderr.splitlines() == [row["error"] for row in read_rows(tmp_path / "r.csv")]
    assert all(str(path) in line for path, line in zip(bad, result.stderr.splitlines(), strict=True))
    result = call("score", bigan_dir, *bad, *more, *limit)
    assert result.stderr.splitlines()[3:] == ["and 2 more: see the column error"]
    assert "1 row in" in call("score", bigan_dir, bad[0], *limit).stdout


def test_an_empty_folder_is_a_row_with_a_reason(bigan_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert call("score", bigan_dir, tmp_path / "empty", "--out", tmp_path / "r.csv").exit_code == 2
    (row,) = read_rows(tmp_path / "r.csv")
    assert "is a folder that holds no images" in row["error"]


def test_alpha_decides_and_too_small_a_one_leaves_the_verdict_open(
    bigan_dir: Path, images: list[Path], tmp_path: Path
) -> None:
    done("score", bigan_dir, *images, "--out", tmp_path / "half.csv", "--alpha", "0.5")
    half = read_rows(tmp_path / "half.csv")
    assert [str(float(row["p_value"]) <= 0.5).lower() for row in half] == [row["is_anomalous"] for row in half]
    result = done("score", bigan_dir, *images, "--out", tmp_path / "small.jsonl", "--alpha", "0.001")
    small = [json.loads(line) for line in (tmp_path / "small.jsonl").read_text().splitlines()]
    assert {(None, None, None)} == {(line["threshold"], line["is_anomalous"], line["error"]) for line in small}
    assert [line["score"] for line in small] == [float(row["score"]) for row in half]
    assert "alpha = 0.001 needs at least 999 calibration images and this model has 35" in result.stderr
    assert ": no verdicts, 0 without a score" in result.stdout  # "0 anomalous" would call all of them normal


def test_fdr_is_benjamini_hochberg_over_the_p_values(bigan_dir: Path, images: list[Path], tmp_path: Path) -> None:
    inputs = [*images[:20], tmp_path / "missing.png", *images[20:]]
    assert call("score", bigan_dir, *inputs, "--out", tmp_path / "r.csv", "--fdr", "0.2").exit_code == 1
    rows = read_rows(tmp_path / "r.csv")
    assert list(rows[0])[-2:] == ["fdr_rejected", "error"]
    assert rows.pop(20)["fdr_rejected"] == ""
    expected = reject_fdr(np.array([float(row["p_value"]) for row in rows]), 0.2)
    assert [str(flag).lower() for flag in expected.tolist()] == [row["fdr_rejected"] for row in rows]
    assert 0 < expected.sum() < len(rows)


def test_a_false_discovery_rate_out_of_reach_says_how_many_normals_it_needs(
    bigan_dir: Path, images: list[Path], tmp_path: Path
) -> None:
    """35 calibration images: no p-value is below 1/36."""
    result = done("score", bigan_dir, *images, "--out", tmp_path / "r.csv", "--fdr", "0.01")
    num_extreme = sum(float(row["p_value"]) < 1 / 35.5 for row in read_rows(tmp_path / "r.csv"))
    needed = math.ceil(len(images) / (0.01 * num_extreme)) - 1
    assert f"{num_extreme} of {len(images)} images outrank all 35 calibration images" in result.stderr
    assert f"needs at least {needed} calibration images" in result.stderr
    assert "outrank" not in done("score", bigan_dir, *images, "--out", tmp_path / "r.csv", "--fdr", "0.2").stderr


def test_heatmaps_are_pictures_of_the_images_own_size(bigan_dir: Path, tmp_path: Path) -> None:
    for name, shape in {"a.png": (30, 20), "b.png": (8, 8, 3), "c.png": (5, 9)}.items():
        Image.fromarray(np.full(shape, 200, np.uint8)).save(tmp_path / name)
    (tmp_path / "b2.png").write_text("no image")
    call("score", bigan_dir, tmp_path, "--out", tmp_path / "r.csv", "--heatmaps", tmp_path / "deep" / "maps")
    maps = (tmp_path / "deep" / "maps").iterdir()
    sizes = {path.name: decode(path, name=path.name).size for path in maps}
    assert sizes == {"000000_a.png": (20, 30), "000001_b.png": (8, 8), "000003_c.png": (9, 5)}


def test_a_row_names_its_heatmap_and_those_of_an_earlier_run_are_told(
    bigan_dir: Path, images: list[Path], tmp_path: Path
) -> None:
    text = tmp_path / "text.png"
    text.write_text("no image")
    drawn = tmp_path / "drawn"
    to = ("--out", tmp_path / "r.csv", "--heatmaps", drawn)
    assert call("score", bigan_dir, images[0], text, images[2], *to, "--fdr", "0.1").exit_code == 1
    rows = read_rows(tmp_path / "r.csv")
    assert list(rows[0])[-3:] == ["heatmap", "fdr_rejected", "error"]
    assert [row["heatmap"] for row in rows] == ["000000_0000.png", "", "000002_0002.png"]
    Image.new("L", (8, 8)).save(drawn / "000007_mine.png")
    earlier = {path.name: path.read_bytes() for path in drawn.iterdir()}
    result = done("score", bigan_dir, images[0], images[3], *to)
    assert result.stderr == (
        f"1 heatmap of an earlier run lies in {drawn} too, such as 000002_0002.png; the column heatmap names those of "
        "this run\n"
    )
    assert [row["heatmap"] for row in read_rows(tmp_path / "r.csv")] == ["000000_0000.png", "000001_0003.png"]
    assert earlier.items() <= {path.name: path.read_bytes() for path in drawn.iterdir()}.items()
    done("score", bigan_dir, images[0], "--out", tmp_path / "plain.csv")
    assert "heatmap" not in read_rows(tmp_path / "plain.csv")[0]


def test_heatmaps_of_the_longest_names(bigan_dir: Path, tmp_path: Path) -> None:
    longest = tmp_path / ("𝔸" * 62 + ".png")
    Image.fromarray(normals()[0]).save(longest)
    done("score", bigan_dir, longest, "--out", tmp_path / "r.csv", "--heatmaps", tmp_path / "maps")
    assert len(list((tmp_path / "maps").iterdir())) == 1


def test_heatmaps_leave_the_scores_as_they_are(bigan_dir: Path, images: list[Path], tmp_path: Path) -> None:
    done("score", bigan_dir, *images, "--out", tmp_path / "with.csv", "--heatmaps", tmp_path / "maps")
    done("score", bigan_dir, *images, "--out", tmp_path / "without.csv")
    drawn = read_rows(tmp_path / "with.csv")
    assert all(row.pop("heatmap") for row in drawn)
    assert drawn == read_rows(tmp_path / "without.csv")


def test_more_images_than_are_held_at_once(bigan_dir: Path, images: list[Path], tmp_path: Path) -> None:
    many = [images[i % len(images)] for i in range(300)]
    done("score", bigan_dir, *many, "--out", tmp_path / "r.csv")
    rows = read_rows(tmp_path / "r.csv")
    assert [str(path) for path in many] == [row["path"] for row in rows]
    for row, first in zip(rows, rows[: len(images)] * 99, strict=False):
        assert_same_scores(first, row)


def test_names_that_are_hostile_to_csv(bigan_dir: Path, tmp_path: Path) -> None:
    names = ["new\nline.png", 'quo"te,comma.png', "return\r.png", "=formula.png", os.fsdecode(b"not-utf8-\xff.png")]
    for name in names:
        Image.fromarray(normals()[0]).save(tmp_path / name)
    done("score", bigan_dir, *(tmp_path / name for name in names), "--out", tmp_path / "r.csv")
    assert [str(tmp_path / name) for name in names] == [row["path"] for row in read_rows(tmp_path / "r.csv")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "r.xlsx"], ".csv, .jsonl, .parquet"),
        (["--out", "r"], "'r'"),
        (["--out", "nowhere/r.csv"], "nowhere does not exist"),
        (["--out", "."], "'.'"),
        (["--out", "r" * 300 + ".csv"], "r.csv"),
        (["--out", "r.csv", "--alpha", "0"], "alpha is the false-alarm rate"),
        (["--out", "r.csv", "--alpha", "2"], "0 and 1: give 0.05 for 5 %; got 2"),
        (["--out", "r.csv", "--fdr", "5"], "fdr is the share of false alarms among the flagged and lies between 0"),
        (["--out", "r.csv", "--fdr", "1"], "fdr is the share of false alarms"),
        (["--out", "r.csv", "--fdr", "nan"], "got nan"),
        (["--out", "r.csv", "--device", "warp"], "'warp'"),
        (["--out", "r.csv", "--heatmaps", "file"], "cannot write heatmaps into file"),
    ],
)
def test_mistakes(
    bigan_dir: Path,
    images: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert said in refused("score", bigan_dir, images[0], *options)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("option", ["--alpha", "--fdr"])
@pytest.mark.parametrize("text", ["5%", "0,05"])
def test_a_share_that_is_no_number_is_told_with_an_example(
    bigan_dir: Path, tmp_path: Path, option: str, text: str
) -> None:
    result = call("score", bigan_dir, tmp_path, "--out", tmp_path / "r.csv", option, text)
    said = " ".join(result.stderr.replace("│", " ").split())
    assert result.exit_code == 2
    assert f"'{option}': '{text}' is no number, and a share lies between 0 and 1: give 0.05 for 5 %" in said


def test_no_model(images: list[Path], tmp_path: Path) -> None:
    assert "there is no bundle at" in refused("score", tmp_path, images[0], "--out", tmp_path / "r.csv")


def test_no_inputs(bigan_dir: Path, tmp_path: Path) -> None:
    assert call("score", bigan_dir, "--out", tmp_path / "r.csv").exit_code == 2


def test_what_the_user_has_made_is_not_replaced(bigan_dir: Path, images: list[Path], tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\na.png,normal\n")
    assert "labels.csv exists and is not a file of results" in refused("score", bigan_dir, images[0], "--out", labels)
    assert labels.read_text() == "path,label\na.png,normal\n"
    mine = tmp_path / "000001_0001.png"  # a picture that is called as a heatmap would be
    Image.new("L", (8, 8)).save(mine)
    before = mine.read_bytes()
    to = ("--out", tmp_path / "r.csv", "--heatmaps", tmp_path)
    said = refused("score", bigan_dir, *images[:2], *to)
    assert "000001_0001.png exists and is no heatmap that anomaly has drawn" in said
    assert mine.read_bytes() == before
    for _ in range(2):
        done("score", bigan_dir, images[0], *to)


def test_a_folder_that_cannot_be_read_is_said(
    bigan_dir: Path, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src" / "locked").mkdir(parents=True)
    (tmp_path / "src" / "0.png").write_bytes(images[0].read_bytes())
    scandir = os.scandir

    def refuse(folder: str | Path) -> object:
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    result = call("score", bigan_dir, tmp_path / "src", "--out", tmp_path / "r.csv")
    assert result.exit_code == 1
    assert "1 row in" in result.stdout
    assert f"such as {tmp_path / 'src' / 'locked'} (Permission denied)" in result.stderr
