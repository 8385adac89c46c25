import hashlib
import hmac
import logging
import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from anomaly.errors import UsageError
from service.edge import keys
from service.edge.keys import Key, Keyring, Scope, add_key, read_keys, remove_key

HASH = "0" * 64


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.txt"


def test_a_new_key_is_known_by_its_secret_only(file: Path) -> None:
    secret = add_key(file, "line-3", ["score"])
    ring = Keyring(file)
    key = ring.find(secret)
    assert key is not None
    assert (key.name, list(key.scopes)) == ("line-3", [Scope.SCORE])
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), key.sha256, "line-3", "ключ", "\ud800"):
        assert ring.find(wrong) is None


def test_the_file_holds_the_hash_and_not_the_key(file: Path) -> None:
    secret = add_key(file, "line-3", ["score", "admin"])
    assert file.read_text() == f"line-3  score,admin  {hashlib.sha256(secret.encode()).hexdigest()}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_have_256_random_bits(file: Path) -> None:
    secrets = [add_key(file, f"key-{i}", ["score"]) for i in range(20)]
    assert {len(secret.removeprefix("anomaly_")) for secret in secrets} == {43}  # 43 · 6 bits ≥ 256
    assert len(set(secrets)) == 20


def test_each_key_is_compared_in_constant_time_whichever_fits(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [add_key(file, f"key-{i}", ["score"]) for i in range(3)]
    compared: list[tuple[str, str]] = []

    def compare(stored: str, presented: str) -> bool:
        compared.append((stored, presented))
        return stored == presented

    monkeypatch.setattr(hmac, "compare_digest", compare)
    ring = Keyring(file)
    for secret in [*secrets, "unknown"]:
        compared.clear()
        ring.find(secret)
        assert len(compared) == 3


def test_comments_and_the_mode_of_the_file_are_kept(file: Path) -> None:
    file.write_text(f"# the plant's keys\n\nold  score  {HASH}  # line 2\n")
    file.chmod(0o640)
    secret = add_key(file, "new", ["admin"])
    assert file.read_text().startswith(f"# the plant's keys\n\nold  score  {HASH}  # line 2\nnew  admin  ")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    remove_key(file, "old")
    assert [key.name for key in read_keys(file)] == ["new"]
    assert file.read_text().startswith("# the plant's keys\n\nnew")
    assert Keyring(file).find(secret)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("name score", "line 1: has 2 fields"),
        (f"name score {HASH} 2027-01-31 more", "line 1: has 5 fields"),
        (f"name score {HASH} more", "line 1: 'more' is no day; write it as 2027-01-31"),
        (f"name score {HASH} 2027-02-30", "'2027-02-30' is no day"),
        (f"name score {HASH} 20270131", "'20270131' is no day"),
        (f"name score {HASH} ２０２７-01-31", "'２０２７-01-31' is no day"),
        (f"na/me score {HASH}", "cannot be called 'na/me'"),
        (f"{'n' * 65} score {HASH}", "cannot be called"),
        (f"name root {HASH}", "no scope 'root'; there are score, admin"),
        (f"name score,,admin {HASH}", "no scope ''"),
        ("name score secret", "is no SHA-256"),
        (f"name score {'A' * 64}", "is no SHA-256"),
        (f"name score {HASH}\nname admin {HASH}", "line 2: there is a key called name already"),
        (f"old score {HASH} 2020-02-29\nnew score {HASH}", "line 2: the key new has the SHA-256 of the key old"),
        (f"new score {HASH}\nold score {HASH} 2020-02-29", "line 2: the key old has the SHA-256 of the key new"),
    ],
)
def test_a_line_that_is_no_key_is_named_with_its_reason(file: Path, line: str, reason: str) -> None:
    file.write_text(line)
    with pytest.raises(UsageError, match=reason):
        read_keys(file)


def test_files_that_cannot_be_read_or_have_no_keys_are_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        Keyring(file)
    file.write_text("# none yet\n")
    with pytest.raises(UsageError, match="has no keys; make one: anomaly keys add"):
        Keyring(file)
    file.write_bytes(b"\xff\xfe")  # UTF-16's mark, and nothing behind it
    with pytest.raises(UsageError, match="has no keys; make one: anomaly keys add"):
        Keyring(file)
    spaced = file.with_name("my keys")
    spaced.touch()
    with pytest.raises(UsageError, match=f"--file '{spaced}'"):
        Keyring(spaced)
    for no_text in (b"\xff\xfea", b"\xfea"):
        file.write_bytes(no_text)
        with pytest.raises(UsageError, match="it is not text"):
            Keyring(file)


@pytest.mark.parametrize(("name", "scopes"), [("old", ["score"]), ("a b", ["score"]), ("new", []), ("new", ["root"])])
def test_a_key_that_may_not_be_made_changes_nothing(file: Path, name: str, scopes: list[str]) -> None:
    add_key(file, "old", ["score"])
    before = file.read_bytes()
    with pytest.raises(UsageError):
        add_key(file, name, scopes)
    assert file.read_bytes() == before
    assert [file] == list(file.parent.iterdir())


def test_a_key_is_accepted_until_its_last_day_is_over(file: Path) -> None:
    secret = add_key(file, "line-3", ["score"], expires="9999-12-30")
    assert file.read_text().endswith("  9999-12-30\n")
    key = Keyring(file).find(secret)
    assert key
    assert key.expires == date(9999, 12, 30)
    assert [key.is_past(date(9999, 12, day)) for day in (29, 30, 31)] == [False, False, True]
    assert not key.has_expired
    add_key(file, "ops", ["admin"])
    assert [key.expires for key in read_keys(file)] == [date(9999, 12, 30), None]


@pytest.mark.parametrize("zone", ["<+14>-14", "<-12>12"])
def test_days_are_those_of_utc_wherever_the_server_stands(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each time of the day it is another day in one of these zones."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        today = None
        while today != (today := datetime.now(UTC).date()):  # again where midnight comes between
            ends = [Key("k", frozenset(), HASH, today + timedelta(days)).has_expired for days in (-1, 0)]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert ends == [True, False]


def test_an_expired_key_is_told_of_when_the_file_is_read_and_is_not_in_force(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(f"old  score  {HASH}  2020-02-29\nnew  score  {'1' * 64}  9999-12-31\n")
    told = "the key old has expired: its last day was 2020-02-29 (UTC)"
    with caplog.at_level(logging.INFO):
        ring = Keyring(file)
        assert [record.message for record in caplog.records] == [told]
        ring.reload()
    assert [record.message for record in caplog.records] == [told, told, "1 key is in force"]


def test_a_key_is_warned_of_for_two_weeks_before_its_last_day_is_over(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime.now(UTC)
    days = {name: now.date() + timedelta(num) for name, num in (("soon", 12), ("late", 15), ("past", -1))}
    lines = [f"{name}  score  {number:064x}  {day}\n" for number, (name, day) in enumerate(days.items())]
    file.write_text("".join([*lines, f"always  score  {HASH[:-1]}f\nlast  score  {'1' * 64}  9999-12-31\n"]))
    ring = Keyring(file)
    assert [record.message for record in caplog.records] == [
        f"the key soon expires soon: its last day is {days['soon']} (UTC); write a later day into its line, "
        "or replace it",
        f"the key past has expired: its last day was {days['past']} (UTC)",
    ]
    ring.reload()
    assert len(caplog.records) == 4
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    ends = {"soon": midnight + 13 * 86_400, "late": midnight + 16 * 86_400, "past": midnight, "last": 253402300800}
    assert ring.ends() == ends


@pytest.mark.parametrize(("expires", "reason"), [("2020-02-29", "is past"), ("soon", "'soon' is no day")])
def test_a_new_key_needs_a_day_that_comes(file: Path, expires: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        add_key(file, "line-3", ["score"], expires=expires)
    assert not file.exists()


def test_removing_needs_the_name_of_a_key(file: Path) -> None:
    add_key(file, "old", ["score"])
    with pytest.raises(UsageError, match="no key called new"):
        remove_key(file, "new")


def test_reloading_takes_new_keys_forgets_removed_ones_and_survives_a_broken_file(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = add_key(file, "first", ["score"])
    ring = Keyring(file)
    second = add_key(file, "second", ["score"])
    remove_key(file, "first")
    assert (ring.find(first) is None, ring.find(second) is None) == (False, True)
    ring.reload()
    assert (ring.find(first) is None, ring.find(second) is None) == (True, False)
    copied = file.read_text().replace("second", "copy").rstrip() + "  2020-02-29\n"
    for broken in ("nonsense\n", file.read_text() + copied):
        caplog.clear()
        file.write_text(broken)
        ring.reload()
        found = ring.find(second)
        assert found
        assert (found.name, found.has_expired) == ("second", False)
        assert "the keys stay as they were" in caplog.text
    file.unlink()
    ring.reload()
    assert ring.find(second)


def test_the_last_key_can_be_revoked_while_the_server_runs(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    last = add_key(file, "last", ["score"])
    ring = Keyring(file)
    remove_key(file, "last")
    ring.reload()
    assert ring.find(last) is None
    assert ring  # keys are asked for all the same
    assert "no key is in force" in caplog.text
    again = add_key(file, "again", ["score"])
    ring.reload()
    assert ring.find(again)


def test_without_a_file_there_are_no_keys(caplog: pytest.LogCaptureFixture) -> None:
    ring = Keyring(None)
    with caplog.at_level(logging.DEBUG):
        ring.reload()
    assert not ring
    assert ring.find("anything") is None
    assert caplog.text == ""


def test_keys_that_are_made_at_the_same_time_are_all_there(file: Path) -> None:
    """Each key is shown once; one that another call wrote over could never be used."""
    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(lambda number: add_key(file, f"caller{number}", ["score"]), range(16)))
    assert sorted(key.name for key in read_keys(file)) == sorted(f"caller{number}" for number in range(16))
    assert len(set(secrets)) == 16
    assert list(file.parent.iterdir()) == [file]


def test_through_a_link_the_file_that_it_leads_to_is_written(file: Path) -> None:
    """The server may read the file itself: a key that is removed through a link has to be unknown there too."""
    link, chain = file.with_name("link.txt"), file.with_name("chain.txt")
    link.symlink_to(file.name)
    chain.symlink_to(link)
    add_key(link, "new", ["score"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = add_key(chain, "other", ["score"])
    remove_key(chain, "new")
    assert (link.is_symlink(), chain.is_symlink(), file.is_symlink()) == (True, True, False)
    assert [key.name for key in read_keys(file)] == ["other"]
    assert Keyring(file).find(secret)
    remove_key(link, "other")
    assert read_keys(file) == ()


def test_what_is_no_regular_file_is_refused_and_stays(file: Path) -> None:
    fifo, folder, circle, link = (file.with_name(name) for name in ("fifo", "folder", "circle", "link"))
    os.mkfifo(fifo)
    folder.mkdir()
    circle.symlink_to(circle)
    link.symlink_to(fifo)
    for place in (fifo, folder, circle, link, Path("/dev/null"), Path()):
        with pytest.raises(UsageError, match=f"cannot be written to {place}: it is no regular file"):
            add_key(place, "new", ["score"])
        with pytest.raises(UsageError, match="it is no regular file"):
            remove_key(place, "new")
    assert fifo.is_fifo()
    assert Path("/dev/null").is_char_device()
    assert sorted(file.parent.iterdir()) == sorted([fifo, folder, circle, link])


def test_of_two_reloads_at_once_the_one_that_reads_last_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a key that was removed would stay in force until the next reload."""
    path = tmp_path / "keys"
    removed, kept = add_key(path, "removed", ["score"]), add_key(path, "kept", ["score"])
    ring = Keyring(path)
    read, has_read, may_go_on = keys.read_keys, threading.Event(), threading.Event()

    def read_slowly(path: Path) -> tuple[Key, ...]:
        found = read(path)
        if not has_read.is_set():
            has_read.set()
            assert may_go_on.wait(10)
        return found

    monkeypatch.setattr(keys, "read_keys", read_slowly)
    reloads = [threading.Thread(target=ring.reload) for _ in range(2)]
    reloads[0].start()
    assert has_read.wait(10)
    remove_key(path, "removed")
    reloads[1].start()
    reloads[1].join(0.2)  # it may have to wait for the other one
    may_go_on.set()
    for reload in reloads:
        reload.join()
    assert ring.find(removed) is None
    assert ring.find(kept)
