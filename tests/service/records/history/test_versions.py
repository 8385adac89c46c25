"""A file that an older version made is taken over with all its rows; one of a newer version is not touched."""

import sqlite3
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import DDL

from anomaly.errors import UsageError
from service.records.history.choice import restart_drift
from service.records.history.export import read_corrections
from service.records.history.sqlite import APPLICATION_ID, open_file
from service.records.history.tables import SCHEMA_VERSION, UPGRADES
from tests.service.records.history.entries import found, page, writing

VERSION_1 = f"""
PRAGMA auto_vacuum = FULL;
BEGIN;
CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL, time TEXT NOT NULL,
    model TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL,
    filename TEXT NOT NULL, image_hash TEXT NOT NULL,
    score REAL NOT NULL, p_value REAL NOT NULL, threshold REAL, alpha REAL NOT NULL, is_anomalous INTEGER,
    correction TEXT CHECK (correction IN ('normal', 'anomalous')), corrected_by TEXT, corrected_at TEXT,
    thumbnail BLOB
);
CREATE INDEX images_by_time ON images (time);
CREATE INDEX images_corrected ON images (image_hash) WHERE correction IS NOT NULL;
PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;
COMMIT;
PRAGMA journal_mode = WAL;
"""
ROW = (
    "INSERT INTO images (request_id, time, model, version, digest, filename, image_hash, score, p_value, threshold, "
    "alpha, is_anomalous, correction, corrected_by, corrected_at, thumbnail) VALUES "
    "('r', '2026-01-01T00:00:00.000+00:00', 'm', 1, 'd', ?, ?, 1.5, 0.5, NULL, 0.05, 0, 'normal', 'a', '2026', x'00')"
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A history as the version before made it, with two corrected rows."""
    path = tmp_path / "history.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(VERSION_1)
    for i in range(2):
        connection.execute(ROW, (f"{i}.png", sha256(b"%d" % i).hexdigest()))
    connection.close()
    return path


def test_rows_of_version_1_stay_as_they_are_and_new_ones_follow(old: Path) -> None:
    with writing(old) as do:
        assert do(lambda history: history.add([found(7, part="A-17")])) == [3]
        rows, _ = page(old)
        assert do(lambda history: history.correct(1, "anomalous", "b")) is not None
    assert [(row.id, row.filename, row.part, row.terms) for row in rows] == [
        (3, "7.png", "A-17", {"residual": 3.5}),
        (2, "1.png", None, None),
        (1, "0.png", None, None),
    ]
    first = rows[-1]
    assert (first.score, first.threshold, first.is_anomalous, first.has_thumbnail) == (1.5, None, False, True)
    assert (first.correction, first.corrected_by, first.corrected_at) == ("normal", "a", "2026")
    with writing(old) as do:  # a second start changes nothing
        assert do(lambda history: history.add([found(8)])) == [4]


def test_that_a_file_was_taken_over_is_logged_once(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        open_file(old).close()
    assert [record.getMessage() for record in caplog.records] == [
        f"the history {old} was of version 1 and is of version {SCHEMA_VERSION} now, with all its rows; older versions "
        "of anomaly refuse it from now on"
    ]


@pytest.mark.parametrize("version", list(UPGRADES))
def test_who_may_not_take_an_older_file_over_says_who_does(old: Path, version: int) -> None:
    connection = sqlite3.connect(old)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    before = old.read_bytes()
    with pytest.raises(
        UsageError, match=rf"older version of anomaly \(history {version}; .*Start `anomaly serve` with"
    ):
        restart_drift(old, "m")
    assert old.read_bytes() == before


def test_an_export_reads_both_versions_and_changes_neither(old: Path) -> None:
    before = old.read_bytes()
    corrected = read_corrections(old)
    assert {digest: each.part for digest, each in corrected.items()} == {
        sha256(b"%d" % i).hexdigest(): None for i in range(2)
    }
    assert old.read_bytes() == before
    open_file(old).close()
    assert read_corrections(old) == corrected


def test_an_upgrade_that_ends_in_the_middle_has_not_begun(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [*UPGRADES[1], DDL("no statement of SQL")]  # type: ignore[no-untyped-call]
    with monkeypatch.context() as patch:
        patch.setitem(UPGRADES, 1, broken)
        with pytest.raises(sqlite3.Error):
            open_file(old)
    assert len(read_corrections(old)) == 2
    with writing(old) as do:
        assert do(lambda history: history.add([found(7)])) == [3]


def test_a_file_of_a_newer_version_is_refused_and_not_touched(old: Path) -> None:
    connection = sqlite3.connect(old)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = old.read_bytes()
    with pytest.raises(UsageError, match=rf"a newer version of anomaly \(history {SCHEMA_VERSION + 1}; this one"):
        open_file(old)
    with pytest.raises(UsageError):
        read_corrections(old)
    assert old.read_bytes() == before
