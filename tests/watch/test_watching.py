"""The watcher on real folders: what is dropped is reported, once whole, whatever the target does meanwhile."""

import math
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from anomaly import load_detector
from anomaly.errors import InUseError, StorageError, UsageError
from anomaly.watch import retry
from anomaly.watch import watching as watching_module
from anomaly.watch.journal import Arrival, Journal, Report, open_journal
from anomaly.watch.sorting import Sorting
from anomaly.watch.watching import JOURNAL, LOCK, WatchOptions, watch_folder
from tests.cli.calls import call, read_rows
from tests.digit_images import normals, others, write_images
from tests.watch.targets.endpoint import Endpoint, serving
from tests.watch.watchers import rows_of, wait_for, watching


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "r.jsonl"


@pytest.mark.parametrize("poll_s", [None, 0.1])
def test_rows_are_those_of_score_with_an_id_and_a_time(
    bigan_dir: Path, folder: Path, tmp_path: Path, poll_s: float | None
) -> None:
    """Of files that were there, that come, that lie in a new folder, and of one that is no image."""
    write_images(folder, normals()[:5])
    with watching(bigan_dir, folder, tmp_path / "r.csv", poll_s=poll_s, journal=tmp_path / "j") as watcher:
        wait_for(lambda: len(rows_or_none(tmp_path / "r.csv")) == 5)
        write_images(folder / "sub" / "deep", others()[:5])
        (folder / "broken.png").write_text("no image")
        wait_for(lambda: len(rows_or_none(tmp_path / "r.csv")) == 11)
        summary = watcher.end()
    assert (summary.num_reported, summary.num_failed, summary.num_waiting) == (11, 1, 0)
    rows = read_rows(tmp_path / "r.csv")
    again = call("score", bigan_dir, *(row["path"] for row in rows), "--out", tmp_path / "s.csv", "--device", "cpu")
    assert again.exit_code == 1  # one is broken
    scored = read_rows(tmp_path / "s.csv")
    assert list(rows[0]) == ["id", "time", *scored[0]]
    for row, expected in zip(rows, scored, strict=True):
        for name in ("path", "is_anomalous", "error"):
            assert row[name] == expected[name]
        for name in expected.keys() - {"path", "is_anomalous", "error"}:  # in other batches (law 2)
            assert float(row[name] or 0) == pytest.approx(float(expected[name] or 0), rel=1e-5, abs=1e-5)
    assert len({row["id"] for row in rows}) == 11
    assert summary.num_anomalous == sum(row["is_anomalous"] == "true" for row in rows)


def rows_or_none(path: Path) -> list[dict[str, str]]:
    return read_rows(path) if path.exists() else []


def test_a_file_that_grows_is_scored_when_it_is_whole(bigan_dir: Path, folder: Path, out: Path, tmp_path: Path) -> None:
    """Written in pieces with pauses that are longer than the time to settle, by a program that keeps it open."""
    (made,) = write_images(tmp_path / "made", others()[:1])
    data = made.read_bytes()
    with watching(bigan_dir, folder, out, settle_s=0.1):
        with (folder / "slow.png").open("wb") as file:
            for start in range(0, len(data), 40):
                file.write(data[start : start + 40])
                file.flush()
                threading.Event().wait(0.3)
                assert rows_of(out) == []
        wait_for(lambda: len(rows_of(out)) == 1)
    (row,) = rows_of(out)
    assert row["error"] is None


def test_what_was_reported_is_not_reported_again_but_for_a_new_picture(
    bigan_dir: Path, folder: Path, out: Path
) -> None:
    paths = write_images(folder, normals()[:3])
    for _ in range(2):
        with watching(bigan_dir, folder, out):
            wait_for(lambda: len(rows_of(out)) == 3)
    with watching(bigan_dir, folder, out):
        shutil.copy(paths[1], folder / "copy.png")
        write_images(folder, others()[:1])
        wait_for(lambda: len(rows_of(out)) == 5)
    rows = rows_of(out)
    assert sorted(Path(row["path"]).name for row in rows) == [
        "0000.png",
        "0000.png",
        "0001.png",
        "0002.png",
        "copy.png",
    ]
    assert len({row["id"] for row in rows}) == 5


def test_pictures_are_sorted_after_their_report(bigan_dir: Path, folder: Path, out: Path) -> None:
    """Into folders that may lie in the watched one; equal names follow each other."""
    with watching(bigan_dir, folder, out, move_to=folder):
        for turn in (1, 2):
            write_images(folder, [*normals()[:20], *others()[:20]])
            (folder / "broken.png").write_text("no image")
            wait_for(lambda turn=turn: len(rows_of(out)) == 41 * turn)  # type: ignore[misc]
            wait_for(lambda: not [path for path in folder.iterdir() if path.suffix == ".png"])
    moved = {name: len(list((folder / name).iterdir())) for name in ("normal", "anomalous", "errors")}
    rows = rows_of(out)
    assert moved == {
        "normal": sum(row["is_anomalous"] is False for row in rows),
        "anomalous": sum(row["is_anomalous"] is True for row in rows),
        "errors": 2,
    }
    with watching(bigan_dir, folder, out, move_to=folder):
        pass
    assert len(rows_of(out)) == 82


def test_a_picture_that_cannot_be_moved_holds_up_no_other(
    bigan_dir: Path, folder: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_S", 0.05)
    is_locked = threading.Event()
    is_locked.set()
    move = Sorting.move

    def refuse_one(sorting: Sorting, report: Report) -> None:
        if report.arrival.path == "0001.png" and is_locked.is_set():
            raise PermissionError(13, "used by another process", "0001.png")
        move(sorting, report)

    monkeypatch.setattr(Sorting, "move", refuse_one)
    write_images(folder, normals()[:4])
    with watching(bigan_dir, folder, out, move_to=tmp_path / "out") as watcher:
        wait_for(lambda: [path.name for path in folder.glob("*.png")] == ["0001.png"])
        wait_for(lambda: len(watcher.said) == 1)
        is_locked.clear()
        wait_for(lambda: not list(folder.glob("*.png")))
        wait_for(lambda: len(watcher.said) == 2)
    assert watcher.said[0] == (
        "0001.png cannot be moved: used by another process; pictures stay in the folder, and it is tried again"
    )
    assert len(rows_of(out)) == 4


def test_reports_wait_for_an_endpoint_that_is_down(
    bigan_dir: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a restart, too; in order, and each once where nothing is killed."""
    monkeypatch.setattr(retry, "FIRST_S", 0.05)
    endpoint = Endpoint(statuses=[503, 503, 200, 503])
    write_images(folder, normals()[:4])
    with serving(endpoint), watching(bigan_dir, folder, endpoint.address) as watcher:
        wait_for(lambda: len(endpoint.taken) == 4)
        assert endpoint.num_requests == 7
        assert watcher.said[0].endswith(
            "answers 503 Service Unavailable; reports wait in the journal, and it is tried again"
        )
        wait_for(lambda: len(watcher.said) == 2)
        assert "it works again" in watcher.said[1]
    write_images(folder / "later", others()[:4])
    with watching(bigan_dir, folder, endpoint.address) as watcher:
        wait_for(lambda: any("does not answer" in sentence for sentence in watcher.said))
        assert watcher.end().num_waiting == 4
    with serving(endpoint), watching(bigan_dir, folder, endpoint.address) as watcher:
        wait_for(lambda: len(endpoint.taken) == 8)
        assert watcher.end().num_waiting == 0
    names = [row["path"].removeprefix(str(folder)) for row in endpoint.rows]
    assert names == [f"/{n:04}.png" for n in range(4)] + [f"/later/{n:04}.png" for n in range(4)]


def test_no_more_is_scored_than_may_wait(bigan_dir: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching_module, "MAX_WAITING", 6)
    monkeypatch.setattr(watching_module, "chunk_size", lambda config: 4)
    monkeypatch.setattr(retry, "FIRST_S", 0.05)
    most: dict[str, int] = {}
    counted = Journal.count

    def count_most(journal: Journal, state: str) -> int:
        most[state] = max(most.get(state, 0), counted(journal, state))
        return counted(journal, state)

    monkeypatch.setattr(Journal, "count", count_most)
    endpoint = Endpoint(statuses=[500] * 6)
    write_images(folder, others()[:30])
    with serving(endpoint), watching(bigan_dir, folder, endpoint.address):
        wait_for(lambda: len(endpoint.taken) == 30)
    assert most["scored"] <= 6 + 4
    assert most["accepted"] <= 2 * 4


def test_what_is_accepted_is_reported_at_the_end(bigan_dir: Path, folder: Path, out: Path) -> None:
    """Also what a watcher before had accepted, and what has gone since has its row."""
    paths = write_images(folder, normals()[:3])
    with watching(bigan_dir, folder, out):
        wait_for(lambda: len(rows_of(out)) == 3)
    gone = Arrival("gone.png", 7, 7)
    found = paths[0].stat()
    changed = Arrival("0000.png", found.st_size, found.st_mtime_ns - 1)
    with open_journal(folder / JOURNAL, folder) as journal:
        journal.accept([gone, changed])
    stop = threading.Event()
    stop.set()
    summary = watch_folder(WatchOptions(bigan_dir, folder, str(out), device="cpu"), stop)
    assert summary.num_reported == 1
    assert rows_of(out)[-1]["path"].endswith("gone.png")
    assert "does not exist" in rows_of(out)[-1]["error"]


def test_a_folder_that_goes_away_comes_back(bigan_dir: Path, folder: Path, out: Path, tmp_path: Path) -> None:
    """As a network drive does. Nothing of that is an error of a picture."""
    write_images(folder, normals()[:2])
    journal = tmp_path / "journal"
    with watching(bigan_dir, folder, out, poll_s=0.05, journal=journal) as watcher:
        wait_for(lambda: len(rows_of(out)) == 2)
        folder.rename(tmp_path / "away")
        wait_for(lambda: len(watcher.said) == 1)
        (tmp_path / "away").rename(folder)
        write_images(folder / "later", others()[:2])
        wait_for(lambda: len(rows_of(out)) == 4)
        assert watcher.said == [f"{folder} is not there; waiting until it is", f"{folder} is there again"]
    assert [row["error"] for row in rows_of(out)] == [None] * 4


def test_a_folder_that_was_replaced_ends_it(bigan_dir: Path, folder: Path, out: Path) -> None:
    with watching(bigan_dir, folder, out) as watcher:
        (folder / LOCK).unlink()
        wait_for(lambda: watcher.error is not None)
    assert isinstance(watcher.error, StorageError)
    assert "start `anomaly watch` again" in str(watcher.error)


def test_a_folder_has_one_watcher(bigan_dir: Path, folder: Path, out: Path, tmp_path: Path) -> None:
    with watching(bigan_dir, folder, out), pytest.raises(InUseError, match=f"is writing the journal of {folder}; "):
        watch_folder(WatchOptions(bigan_dir, folder, str(tmp_path / "other.csv")), threading.Event())
    with watching(bigan_dir, folder, out):
        pass


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"folder": Path("no-such-folder")}, "is no folder that can be watched"),
        ({"alpha": 2.0}, "alpha"),
        ({"alpha": 0.0001, "move_to": Path("out")}, "without a threshold there is no normal and no anomalous"),
        ({"to": "results.txt"}, "expected FILE.csv"),
        ({"settle_s": math.inf}, "--settle is a time in seconds, from 0 to 86,400; got inf"),
        ({"poll_s": math.nan}, "--poll is a time in seconds, from 0 to 86,400; got nan"),
    ],
)
def test_what_cannot_work_is_refused(
    bigan_dir: Path, folder: Path, out: Path, changes: dict[str, object], says: str
) -> None:
    options = WatchOptions(**{"model": bigan_dir, "folder": folder, "to": str(out)} | changes)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=says):
        watch_folder(options, threading.Event())


@pytest.fixture(autouse=True)
def _leaves_no_locks(tmp_path: Path) -> Iterator[None]:
    yield
    assert [path for path in tmp_path.rglob("*.lock") if path.exists()] == []


def test_names_that_are_no_text(bigan_dir: Path, folder: Path, out: Path) -> None:
    (path,) = write_images(folder, normals()[:1])
    path.rename(Path(os.fsdecode(bytes(folder) + b"/\xff\n.png")))
    with watching(bigan_dir, folder, out):
        wait_for(lambda: len(rows_of(out)) == 1)
    assert rows_of(out)[0]["path"] == f"{folder}/\udcff\n.png"


def test_a_report_warns_of_a_size_that_did_not_calibrate(whole_places_dir: Path, folder: Path, tmp_path: Path) -> None:
    for side in (40, 64):
        Image.new("L", (side, side), 120).save(folder / f"{side}.png")
    with watching(whole_places_dir, folder, tmp_path / "r.csv") as watcher:
        wait_for(lambda: len(rows_or_none(tmp_path / "r.csv")) == 2)
        watcher.end()
    warnings = {Path(row["path"]).name: row["warning"] for row in read_rows(tmp_path / "r.csv")}
    assert warnings == {"40.png": load_detector(whole_places_dir).size_warning(40, 40), "64.png": ""}


def test_that_only_the_first_page_of_files_is_read_is_said_once(bigan_dir: Path, folder: Path, out: Path) -> None:
    pages = [Image.fromarray(each) for each in normals()[:2]]
    with watching(bigan_dir, folder, out) as watcher:
        for number in range(3):
            pages[0].save(folder / f"{number}.tif", save_all=True, append_images=pages[1:])
            wait_for(lambda: len(rows_of(out)) == number + 1)  # noqa: B023
        watcher.end()
        remark = "there are several pages or frames, of which only the first was read"
        told = f"{folder / '0.tif'}: {remark} (said of the first such picture only)"
        assert [said for said in watcher.said if remark in said] == [told]
    assert [row["warning"] for row in rows_of(out)] == [remark] * 3
