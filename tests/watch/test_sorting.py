"""Reported pictures are moved, never over others, between disks too, and by the second try if the first was cut off."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from anomaly.errors import UsageError
from anomaly.watch.arrivals import arrival_of
from anomaly.watch.journal import Report
from anomaly.watch.sorting import Sorting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    return tmp_path / "in"


@pytest.fixture(params=["one disk", "two disks"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "one disk":
        yield tmp_path / "out"
        return
    memory = Path("/dev/shm")  # noqa: S108
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=memory) as other:
        yield Path(other) / "out"


def report(folder: Path, name: str, content: str, *, verdict: bool | None = False, error: str | None = None) -> Report:
    (folder / name).write_text(content)
    arrival = arrival_of(folder / name, name)
    assert arrival is not None
    return Report(arrival, "0123456789abcdef", {"is_anomalous": verdict, "error": error})


def contents(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}


def test_each_verdict_has_its_folder(folder: Path, out: Path) -> None:
    sorting = Sorting(folder, out)
    sorting.make()
    assert sorted(path.name for path in out.iterdir()) == ["anomalous", "errors", "normal"]
    sorting.move(report(folder, "a.png", "good"))
    sorting.move(report(folder, "sub/b.png", "bad", verdict=True))
    sorting.move(report(folder, "c.png", "broken", verdict=None, error="why"))
    assert contents(out) == {"normal/a.png": "good", "anomalous/sub/b.png": "bad", "errors/c.png": "broken"}
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_nothing_is_overwritten(folder: Path, out: Path) -> None:
    sorting = Sorting(folder, out)
    sorting.move(report(folder, "a.png", "first"))
    sorting.move(report(folder, "a.png", "second"))
    third = report(folder, "a.png", "third")
    assert contents(out) == {"normal/a.png": "first", "normal/a-0123456789abcdef.png": "second"}
    with pytest.raises(FileExistsError):  # two reports have one id only if they are of one picture
        sorting.move(third)
    assert contents(folder) == {"a.png": "third"}


def test_a_move_that_was_cut_off_is_ended(folder: Path, out: Path) -> None:
    """Between two disks it may leave a part of the copy, or the copy beside the picture."""
    moved = report(folder, "a.png", "good")
    (out / "normal").mkdir(parents=True)
    (out / "normal" / ".a.png.partial").write_text("go")
    found = (folder / "a.png").stat()
    (out / "normal" / "a.png").write_text("good")
    os.utime(out / "normal" / "a.png", ns=(found.st_atime_ns, found.st_mtime_ns))
    Sorting(folder, out).move(moved)
    assert not (folder / "a.png").exists()
    assert contents(out)["normal/a.png"] == "good"


def test_another_picture_of_the_same_size_and_time_is_not_taken_for_a_copy(folder: Path, out: Path) -> None:
    moved = report(folder, "a.png", "good")
    found = (folder / "a.png").stat()
    (out / "normal").mkdir(parents=True)
    (out / "normal" / "a.png").write_text("evil")
    os.utime(out / "normal" / "a.png", ns=(found.st_atime_ns, found.st_mtime_ns))
    Sorting(folder, out).move(moved)
    assert contents(out) == {"normal/a.png": "evil", "normal/a-0123456789abcdef.png": "good"}


@pytest.mark.parametrize("is_relative", [True, False])
def test_a_link_leads_to_its_file_after_the_move(folder: Path, out: Path, tmp_path: Path, is_relative: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "a.png"
    file.write_text("good")
    target = Path("..", "..", "elsewhere", "a.png") if is_relative else file
    link = folder / "sub" / "a.png"
    link.symlink_to(target)
    arrival = arrival_of(link, "sub/a.png")
    assert arrival is not None
    moved = Report(arrival, "0123456789abcdef", {"is_anomalous": False, "error": None})
    Sorting(folder, out).move(moved)
    place = out / "normal" / "sub" / "a.png"
    assert not os.path.lexists(link)
    is_one_disk = out.stat().st_dev == tmp_path.stat().st_dev
    assert (place.is_symlink(), place.samefile(file)) == (is_one_disk, is_one_disk)
    link.symlink_to(target)  # as a move leaves it that was cut off
    Sorting(folder, out).move(moved)
    assert not os.path.lexists(link)
    assert file.read_text() == "good"
    assert contents(out) == {"normal/sub/a.png": "good"}


def test_a_link_takes_no_place_of_another(folder: Path, out: Path, tmp_path: Path) -> None:
    sorting = Sorting(folder, out)
    sorting.move(report(folder, "a.png", "first"))
    (tmp_path / "b.png").write_text("second")
    (folder / "a.png").symlink_to(Path("..", "b.png"))
    arrival = arrival_of(folder / "a.png", "a.png")
    assert arrival is not None
    sorting.move(Report(arrival, "0123456789abcdef", {"is_anomalous": False, "error": None}))
    assert contents(out) == {"normal/a.png": "first", "normal/a-0123456789abcdef.png": "second"}


@pytest.mark.parametrize("blocking", ["out", "out/normal", "out/deep"])
def test_a_file_in_the_place_of_a_folder_is_said(folder: Path, tmp_path: Path, blocking: str) -> None:
    file = tmp_path / blocking
    file.parent.mkdir(exist_ok=True)
    file.touch()
    destination = file / "sorted" if blocking == "out/deep" else tmp_path / "out"
    with pytest.raises(UsageError, match=f"^--move-to {destination}: {file} is no folder; move it away, or "):
        Sorting(folder, destination).make()


def test_what_came_in_its_place_stays(folder: Path, out: Path) -> None:
    moved = report(folder, "a.png", "good")
    (folder / "a.png").write_text("another picture")
    Sorting(folder, out).move(moved)
    assert contents(folder) == {"a.png": "another picture"}
    (folder / "a.png").unlink()
    Sorting(folder, out).move(moved)
    assert not (out / "normal").exists()
