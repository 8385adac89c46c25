"""`anomaly keys`: make, list and remove API keys."""

from pathlib import Path

import pytest

from service.edge.keys import Keyring
from tests.cli.calls import done, refused


def test_a_key_is_printed_once_and_opens_what_it_was_made_for(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    secret = done("keys", "add", "line-3", "--file", file).stdout.strip()
    both = done("keys", "add", "ops", "--scope", "score, admin", "--file", file).stdout.strip()
    ring = Keyring(file)
    assert [sorted(key.scopes) for key in (ring.find(secret), ring.find(both)) if key] == [
        ["score"],
        ["admin", "score"],
    ]
    listed = done("keys", "list", "--file", file).stdout
    assert listed.splitlines() == ["line-3  score", "ops  admin,score"]
    assert secret not in file.read_text() + listed
    done("keys", "remove", "line-3", "--file", file)
    assert done("keys", "list", "--file", file).stdout.splitlines() == ["ops  admin,score"]


def test_removing_the_last_key_says_what_follows(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    for name in ("line-3", "ops"):
        done("keys", "add", name, "--file", file)
    assert done("keys", "remove", "ops", "--file", file).stderr == ""
    assert "accepts no key at all" in done("keys", "remove", "line-3", "--file", file).stderr


def test_a_key_may_have_a_last_day(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    done("keys", "add", "line-3", "--file", file)
    done("keys", "add", "guest", "--expires", "9999-12-31", "--file", file)
    file.write_text(f"{file.read_text()}old  admin  {'0' * 64}  2020-02-29\n")
    assert done("keys", "list", "--file", file).stdout.splitlines() == [
        "line-3  score",
        "guest  score  until 9999-12-31",
        "old  admin  expired, last day 2020-02-29",
    ]
    assert "that day is past" in refused("keys", "add", "b", "--expires", "2020-02-29", "--file", file)
    assert "is no day; write it as 2027-01-31" in refused("keys", "add", "b", "--expires", "31.1.2027", "--file", file)


def test_mistakes_are_told_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    assert "no scope 'root'" in refused("keys", "add", "a", "--scope", "root", "--file", file)
    assert "No such file" in refused("keys", "list", "--file", file)
    assert "cannot be written to .: it is no regular file" in refused("keys", "add", "a", "--file", ".")
    done("keys", "add", "a", "--file", file)
    assert "called a already" in refused("keys", "add", "a", "--file", file)
    assert "no key called b" in refused("keys", "remove", "b", "--file", file)
    assert "No such file" in refused("serve", "--keys", tmp_path / "nowhere.txt", "--models", tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_that_windows_has_saved(tmp_path: Path, encoding: str) -> None:
    """With a byte-order mark, Windows' line ends and blank lines; a further key leaves the first in force."""
    file = tmp_path / "keys.txt"
    secret = done("keys", "add", "line-3", "--file", file).stdout.strip()
    file.write_bytes(f"\r\n{file.read_text().strip()}\r\n  \r\n".encode(encoding))
    assert done("keys", "list", "--file", file).stdout.splitlines() == ["line-3  score"]
    other = done("keys", "add", "ops", "--file", file).stdout.strip()
    ring = Keyring(file)
    assert [key.name for key in (ring.find(secret), ring.find(other)) if key] == ["line-3", "ops"]
