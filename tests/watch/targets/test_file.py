"""Rows that are appended: whole after a crash, whole on a full disk, and no rows of another table."""

import codecs
import csv
import errno
import json
import os
from pathlib import Path

import pytest

from anomaly.errors import InUseError, UsageError
from anomaly.pipeline.results import ResultRow
from anomaly.watch.targets.file import AppendedFile
from anomaly.watch.targets.target import DeliveryError

COLUMNS = ["id", "path", "score", "is_anomalous", "error"]


def row(number: int, path: str = "") -> ResultRow:
    return {
        "id": f"{number:016x}",
        "path": path or f"{number}.png",
        "score": 0.1 * number,
        "is_anomalous": number % 2 == 1,
        "error": None,
    }


def deliver(path: Path, *rows: ResultRow) -> int:
    target = AppendedFile(path, COLUMNS)
    try:
        return sum(target.deliver(rows))
    finally:
        target.close()


def read(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_rows_are_appended_below_one_header(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    assert deliver(path, row(0), row(1)) == 2
    assert deliver(path, row(2, 'a "b",\nc.png')) == 1
    assert read(path) == [
        COLUMNS,
        ["0000000000000000", "0.png", "0.0", "false", ""],
        ["0000000000000001", "1.png", "0.1", "true", ""],
        ["0000000000000002", 'a "b",\nc.png', "0.2", "false", ""],
    ]


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    deliver(path, row(0))
    deliver(path, row(1))
    assert [json.loads(line) for line in path.read_text().splitlines()] == [row(0), row(1)]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_row_that_a_crash_cut_off_is_written_again(tmp_path: Path, suffix: str) -> None:
    """Wherever it was cut, within a name that has quotes and line feeds, too."""
    path = tmp_path / f"r{suffix}"
    deliver(path, row(0, 'x\n"y".png'))
    before = path.read_bytes()
    deliver(path, row(1, 'a\n"b"\n.png'))
    whole = path.read_bytes()
    for end in range(len(before), len(whole), 2):
        path.write_bytes(whole[:end])
        deliver(path, row(1, 'a\n"b"\n.png'))
        assert path.read_bytes() == whole
    for end in range(0, len(before), 5):  # nothing but a part of the header or of the first row
        path.write_bytes(before[:end])
        deliver(path, row(0, 'x\n"y".png'))
        assert path.read_bytes() == before


def test_a_file_that_is_moved_away_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    target = AppendedFile(path, COLUMNS)
    list(target.deliver([row(0)]))
    path.rename(tmp_path / "yesterday.csv")
    list(target.deliver([row(1)]))
    target.close()
    assert [len(read(tmp_path / name)) for name in ("yesterday.csv", "r.csv")] == [2, 2]


def test_on_a_full_disk_the_file_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.csv"
    target = AppendedFile(path, COLUMNS)
    list(target.deliver([row(0)]))
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DeliveryError, match=r"r\.csv cannot be written: No space left"):
            list(target.deliver([row(1)]))
    assert path.read_bytes() == before
    assert list(target.deliver([row(1)])) == [1]
    target.close()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("num_fit", [1, 60, 130])
def test_where_a_row_fits_in_part_nothing_of_it_stays(tmp_path: Path, suffix: str, num_fit: int) -> None:
    """The system takes as many bytes as there is room for, and then says that it is full."""
    resource = pytest.importorskip("resource")
    path = tmp_path / f"r{suffix}"
    target = AppendedFile(path, COLUMNS)
    list(target.deliver([row(0)]))
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + num_fit, limits[1]))
    try:
        with pytest.raises(DeliveryError, match=r"cannot be written: File too large"):
            list(target.deliver([row(1, "a" * 150)]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    list(target.deliver([row(1)]))
    target.close()
    assert path.read_bytes().startswith(before)
    assert path.read_bytes().count(b"\n") == before.count(b"\n") + 1


def test_a_table_of_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("path,score\na.png,1\n")
    with pytest.raises(UsageError, match=r"r\.csv has other columns than the reports of this model \(id, path"):
        AppendedFile(path, COLUMNS)
    assert path.read_text() == "path,score\na.png,1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]  # and no lock is left


def test_a_table_that_an_editor_has_given_a_byte_order_mark_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    deliver(path, row(0))
    edited = codecs.BOM_UTF8 + path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(edited)
    deliver(path, row(1))
    assert path.read_bytes().startswith(edited)
    assert [fields[0] for fields in read(path)[1:]] == [f"{number:016x}" for number in range(2)]


def test_it_has_one_writer(tmp_path: Path) -> None:
    target = AppendedFile(tmp_path / "r.csv", COLUMNS)
    with pytest.raises(InUseError):
        AppendedFile(tmp_path / "r.csv", COLUMNS)
    target.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "path,label\na.png,normal"),  # without a line feed at its end, as editors save it
        ("labels.jsonl", '{"path": "a.png", "label": "normal"}\n{"path": "b.png", "label": "normal"}'),
        ("labels.jsonl", '{"id": 7, "label": "normal"}\n{"id": 8'),
        ("labels.jsonl", '{"path": "a.png"}'),
        ("labels.jsonl", "no JSON\n"),
    ],
)
def test_a_file_of_the_user_stays_as_it_is(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=f"{name} has other columns than the reports"):
        AppendedFile(tmp_path / name, COLUMNS)
    assert (tmp_path / name).read_text() == text
