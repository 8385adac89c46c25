"""What could not be read is named beside the bundle; a disk that is full says where, how much, and what to do."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anomaly.bundle import load
from tests.cli.calls import TINY, done
from tests.digit_images import digits, normals, write_images
from tests.field.programs import PROGRAM, Ended, run_each

LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({num}, {num}))"  # no file may be larger
needs_limits = pytest.mark.skipif(sys.platform == "win32", reason="the system has no limit for a file's size")


def left_out(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).name: row["error"] for row in csv.DictReader(file)}


def test_files_that_training_and_calibration_could_not_read_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "d", digits("train", "0")[:40])
    (tmp_path / "d" / "text.png").write_text("no image")
    (tmp_path / "d" / "empty.png").touch()
    write_images(tmp_path / "new", normals()[:25])
    (tmp_path / "new" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    model = tmp_path / "m"
    trained = done("train", tmp_path / "d", "--out", model, *TINY)
    assert (
        f"2 files could not be read and were left out; {model / '1.left_out.csv'} says which and why" in trained.stderr
    )
    reasons = left_out(model / "1.left_out.csv")
    assert sorted(reasons) == ["empty.png", "text.png"]
    assert "is empty (0 bytes)" in reasons["empty.png"]
    assert "is not in an accepted image format" in reasons["text.png"]
    assert "| left out | 2 files that could not be read; VERSION.left_out.csv" in load(model).card
    calibrated = done("calibrate", model, tmp_path / "new")
    assert f"1 file could not be read and was left out; {model / '2.left_out.csv'}" in calibrated.stderr
    assert list(left_out(model / "2.left_out.csv")) == ["cut.jpg"]
    assert "1 file given to calibrate could not be read" in load(model).card
    write_images(tmp_path / "newer", digits("train", "0")[40:70])
    (tmp_path / "newer" / "empty-1.png").touch()
    (tmp_path / "newer" / "empty-2.png").touch()
    done("calibrate", model, tmp_path / "newer")
    assert [warning for warning in load(model).manifest.warnings if "could not be read" in warning] == [
        "2 files given to calibrate could not be read; VERSION.left_out.csv beside this bundle names them"
    ]
    write_images(tmp_path / "newest", digits("train", "0")[70:100])
    done("calibrate", model, tmp_path / "newest")
    assert "given to calibrate could not be read" not in load(model).card  # nothing lies beside this version
    assert "1.left_out.csv" not in done("models", "list", tmp_path).stdout


def test_where_all_could_be_read_there_is_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "1.left_out.csv").write_text("of a version that was deleted")
    done("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY)
    assert [path.name for path in (tmp_path / "m").iterdir() if path.is_file()] == []


def told(ended: Ended) -> str:
    assert ended.code == 2, ended
    assert ended.err.count(b"Traceback") == 0
    return ended.err.decode().partition("error: ")[2]


def all_files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@needs_limits
def test_where_there_is_no_room_for_pixels_every_verb_says_which_folder(bigan_dir: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(bigan_dir, tmp_path / "model"))
    images = write_images(tmp_path / "new", normals())[0].parent
    (tmp_path / "tmp").mkdir()
    before = all_files(tmp_path)
    train, calibrate, evaluate = run_each(
        [
            ("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY),
            ("calibrate", model, images),
            ("evaluate", model, "digits", "--normal", "0", "--out", tmp_path / "report"),
        ],
        before=LIMIT.format(num=2000),
        TMPDIR=str(tmp_path / "tmp"),
    )
    assert f"cannot write the preprocessed pixels into {tmp_path / 'm' / '.training'}" in told(train)
    assert "(9,152 bytes are needed)" in told(train)
    assert told(train).rstrip().endswith("Raise the limit, use another file system, or choose another --out")
    for ended in (calibrate, evaluate):
        assert f"cannot write the preprocessed pixels into {tmp_path / 'tmp'}" in told(ended)
        assert "or set the environment variable TMPDIR to a folder on a larger disk" in told(ended)
    assert "(2,240 bytes are needed)" in told(calibrate)
    assert all_files(tmp_path) == before
    assert not (tmp_path / "report").exists()


@needs_limits
def test_where_there_is_no_room_for_what_is_made_nothing_half_is_left(bigan_dir: Path, tmp_path: Path) -> None:
    images = write_images(tmp_path / "new", [*normals(), *digits("test", "1"), *digits("test", "2")])[0].parent
    before = all_files(tmp_path)
    train, score, evaluate = run_each(
        [
            ("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY, "--set", "network.width=8"),
            ("score", bigan_dir, images, "--out", tmp_path / "r.csv"),
            ("evaluate", bigan_dir, "digits", "--normal", "0", "--sample", "40", "--out", tmp_path / "report"),
        ],
        before=LIMIT.format(num=15_000),
    )
    assert f"cannot write a checkpoint into {tmp_path / 'm' / '.training'}" in told(train)
    assert f"cannot write the results into {tmp_path}: File too large" in told(score)
    assert f"report.html into {tmp_path / 'report'}: File too large (" in told(evaluate)
    assert all_files(tmp_path) == before
    assert not (tmp_path / "report").exists()


def test_a_full_disk_keeps_no_half_of_results_and_pictures(bigan_dir: Path, tmp_path: Path) -> None:
    """On a file system of a few kilobytes, in a mount namespace of the test's own."""
    (disk := tmp_path / "disk").mkdir()
    images = write_images(tmp_path / "in", [*normals(), *digits("test", "1")])[0].parent
    script = 'mount -t tmpfs -o size=8k none "$1" || exit 99; shift; "$@"; code=$?; ls -A "$DISK"; exit $code'
    command: list[str | Path] = ["unshare", "--mount", "sh", "-c", script, "sh", disk, PROGRAM]
    command += ["score", bigan_dir, images, "--out", disk / "r.csv"]
    if shutil.which("unshare") is None:
        # skipped, not failed: unshare is a program of Linux alone; CI has it
        pytest.skip("unshare, which makes the small disk, is not here")
    if (asked := subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)).returncode:
        # skipped, not failed: who is not root may not make a mount namespace; CI's root may
        pytest.skip(f"a small disk cannot be mounted here: {asked.stderr.strip()}")
    environment = os.environ | {"DISK": str(disk), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    if ended.returncode == 99:  # of the mount alone: a program that dies by a signal is no reason to skip
        # skipped, not failed: a container's root may lack the right to mount; limits of files are tested above
        pytest.skip(f"a small disk cannot be mounted here: {ended.stderr.strip()}")
    assert ended.returncode == 2
    assert f"cannot write the results into {disk}: No space left on device (" in ended.stderr
    assert "Free some space there, or give another --out" in ended.stderr
    assert ended.stdout == ""
