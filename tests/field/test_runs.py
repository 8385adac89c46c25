"""Two cron jobs, a double click, a second person: each writer has its own place, or is refused and told who has it."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from anomaly.bundle import load, save
from anomaly.locks import LOCK
from tests.cli.calls import NO_GRAPH, TINY, done, read_rows, refused
from tests.digit_images import digits, normals, write_images
from tests.field.programs import hold, start


@contextmanager
def holding(lock: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process holds the lock; it is killed at the end, as by a crash."""
    process = hold(lock)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".") and path.name != ".training"]


def test_two_trainings_into_one_place_make_a_version_each_of_its_own_pictures(tmp_path: Path) -> None:
    zeros = digits("train", "0")[:40]
    write_images(tmp_path / "light", zeros)
    write_images(tmp_path / "dark", zeros // 2)
    names, brief = ("light", "dark"), (*TINY, *NO_GRAPH)
    both = [start("train", tmp_path / name, "--out", tmp_path / "m", *brief) for name in names]
    for process in both:
        _, err = process.communicate()
        assert process.returncode == 0, err
    found = {Path(load(tmp_path / "m" / version).manifest.data.source).name: version for version in ("1", "2")}
    assert sorted(found) == sorted(names)
    for name in names:
        done("train", tmp_path / name, "--out", tmp_path / "alone" / name, *brief)
        alone, together = load(tmp_path / "alone" / name), load(tmp_path / "m" / found[name])
        assert together.manifest.data.fingerprint == alone.manifest.data.fingerprint
        assert together.contents.weights.keys() == alone.contents.weights.keys()
        assert all(np.array_equal(alone.contents.weights[key], w) for key, w in together.contents.weights.items())
    assert hidden(tmp_path / "m") == []
    assert not list((tmp_path / "m").rglob("pixels.u8"))


def test_a_run_that_is_being_trained_is_not_resumed_and_one_that_crashed_is(tmp_path: Path) -> None:
    command = ("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY, "--steps", "34")
    done(*command, "--max-minutes", "0")
    (checkpoint,) = (tmp_path / "m" / ".training").glob("*/checkpoint.safetensors")
    with holding(checkpoint.parent / LOCK) as other:
        message = refused(*command, "--resume")
        assert f"process {other.pid} on " in message
        assert f" is writing the training run {checkpoint.parent}; wait" in message
        assert message.endswith("wait until that has ended, or train without --resume to start anew")
    done(*command, "--resume")
    assert load(tmp_path / "m").manifest.num_steps == 34


def test_of_several_runs_the_one_with_the_same_options_is_resumed(tmp_path: Path) -> None:
    command = ("train", "digits", "--out", tmp_path / "m", *TINY, "--steps", "20")
    for normal in ("0", "1"):
        done(*command, "--normal", normal, "--max-minutes", "0")
    done(*command, "--normal", "0", "--resume")
    assert load(tmp_path / "m").manifest.data.normal == ["0"]
    assert "belongs to another run" in refused(*command, "--normal", "2", "--resume")


def test_versions_are_taken_one_by_one(bigan_dir: Path, tmp_path: Path) -> None:
    """As two calibrations or two upgrades of one model do: each is written, under a number of its own."""
    contents = load(bigan_dir).contents
    with ThreadPoolExecutor(8) as pool:
        versions = [bundle.version for bundle in pool.map(lambda _: save(contents, tmp_path / "m"), range(16))]
    assert sorted(versions) == list(range(1, 17))
    for version in versions:
        assert load(tmp_path / "m" / str(version)).card.startswith(f"# m, version {version}\n")
    assert len(list((tmp_path / "m").iterdir())) == 16


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_second_scoring_into_one_file_is_refused_at_once(bigan_dir: Path, tmp_path: Path, suffix: str) -> None:
    images = write_images(tmp_path / "in", normals()[:3])
    out = tmp_path / f"r.{suffix}"
    with holding(tmp_path / f".{out.name}.lock") as other:
        message = refused("score", bigan_dir, *images, "--out", out)
        assert f"process {other.pid} on " in message
        assert f" is writing the results {out}; wait" in message
        assert not out.exists()
    done("score", bigan_dir, *images, "--out", out)  # that one crashed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", out.name]


def test_two_scorings_at_once_leave_the_rows_of_one_and_the_other_says_so(bigan_dir: Path, tmp_path: Path) -> None:
    folders = [write_images(tmp_path / name, normals()[:30])[0].parent for name in ("a", "b")]
    both = [start("score", bigan_dir, folder, "--out", tmp_path / "r.csv") for folder in folders]
    told = [(process.communicate(), process.returncode) for process in both]
    rows = [row["path"] for row in read_rows(tmp_path / "r.csv")]
    assert len(rows) == 30
    assert len({Path(path).parent for path in rows}) == 1
    for (_, err), code in told:
        assert code == 0 or (code == 2 and " is writing " in err), err
    assert 0 in [code for _, code in told]


def test_heatmaps_and_reports_have_one_writer(bigan_dir: Path, tmp_path: Path) -> None:
    (image,) = write_images(tmp_path / "in", normals()[:1])
    (tmp_path / "place").mkdir()
    with holding(tmp_path / "place" / LOCK) as other:
        for arguments in (
            ("score", bigan_dir, image, "--out", tmp_path / "r.csv", "--heatmaps", tmp_path / "place"),
            ("evaluate", bigan_dir, "digits", "--normal", "0", "--sample", "40", "--out", tmp_path / "place"),
            ("inspect", bigan_dir, "--out", tmp_path / "place"),
        ):
            message = refused(*arguments)
            assert f"process {other.pid} on " in message
            assert " is writing " in message
    assert not (tmp_path / "r.csv").exists()
    done("evaluate", bigan_dir, "digits", "--normal", "0", "--sample", "40", "--out", tmp_path / "place")
    assert hidden(tmp_path / "place") == []
