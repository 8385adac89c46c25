"""What systems, editors and Git leave among a bundle's files, and folders of bundles that are none."""

from pathlib import Path

import pytest

from anomaly.bundle import list_bundles, load
from anomaly.bundle.layout import CARD, HISTORY, MANIFEST, SUMS, WEIGHTS
from anomaly.errors import CorruptBundleError
from service.models.repository import find_bundles
from tests.bundle.copies import copy_of
from tests.cli.calls import done, refused
from tests.field.rows import Row

_SECTION = "Other files in a bundle's folder"
PASSED_OVER = (
    (Row(_SECTION, "macOS: `.DS_Store`, `._*`", "passed over"), (".DS_Store", "._weights.safetensors")),
    (
        Row(_SECTION, "Windows: `Thumbs.db`, `ehthumbs.db`, `desktop.ini`", "passed over"),
        ("Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini"),
    ),
    (
        Row(_SECTION, "Linux and network file systems: `.directory`, `.nfs*`, `.fuse_hidden*`", "passed over"),
        (".directory", ".nfs000000000a1b2c3d00000001", ".fuse_hidden0000012300000001"),
    ),
    (Row(_SECTION, "network storage: `@eaDir`", "passed over"), ("@eaDir",)),
    (Row(_SECTION, "editors: `.*.swp`, `*~`, `.#*`", "passed over"), (".README.md.swp", "README.md~", ".#README.md")),
)
NAMED = (
    Row(_SECTION, "any other", "the bundle is refused, the file named"),
    ("weights.pt", "README.txt", "DS_Store", "notes", "nfs1", "weights.safetensors.1"),
)
LINE_ENDS = Row(_SECTION, "CR LF in its text files, as Git writes them on Windows", 'refused: "line ends were changed"')
ROWS = (*(row for row, _ in PASSED_OVER), NAMED[0], LINE_ENDS)
TEXTS = [CARD, HISTORY, MANIFEST, SUMS]


@pytest.mark.parametrize("name", [name for _, names in PASSED_OVER for name in names])
def test_what_programs_leave_is_passed_over(bigan_dir: Path, name: str) -> None:
    digest = load(bigan_dir).digest
    with copy_of(bigan_dir / "1") as copied:
        (copied / name).write_bytes(b"\x00\x01")
        assert load(copied).digest == digest
        (copied / name).unlink()
        (copied / name).mkdir()
        assert load(copied).digest == digest


@pytest.mark.parametrize("name", NAMED[1])
def test_what_nobody_knows_is_still_named(bigan_dir: Path, name: str) -> None:
    with copy_of(bigan_dir / "1") as copied:
        (copied / ".DS_Store").touch()
        (copied / name).touch()
        with pytest.raises(CorruptBundleError, match=f": {name} added"):
            load(copied)


def to_crlf(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("names", [TEXTS, *([name] for name in TEXTS)], ids=lambda names: "+".join(names))
def test_line_ends_that_git_changed_are_called_so(bigan_dir: Path, names: list[str]) -> None:
    with copy_of(bigan_dir / "1") as copied:
        for name in names:
            to_crlf(copied / name)
        message = refused("models", "verify", copied)
        assert message.startswith(f"line ends were changed in the bundle {copied}: those of ")
        assert all(name in message for name in names)
        assert "'models/** -text' into .gitattributes" in message
        for name in names:
            (copied / name).write_bytes((copied / name).read_bytes().replace(b"\r\n", b"\n"))
        assert load(copied).digest == load(bigan_dir).digest


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_line_ends_do_not_hide_other_changes(bigan_dir: Path, name: str) -> None:
    with copy_of(bigan_dir / "1") as copied:
        (copied / name).write_bytes((copied / name).read_bytes() + b"x")
        for text in TEXTS:
            to_crlf(copied / text)
        with pytest.raises(CorruptBundleError, match=rf"is corrupt: .*{name}.* changed since"):
            load(copied)


def test_folders_that_systems_make_are_no_bundles(bigan_dir: Path) -> None:
    with copy_of(bigan_dir / "1") as copied:
        models = copied.parent.parent
        for name in ("lost+found", "@eaDir", "$RECYCLE.BIN", "__MACOSX", ".Trash-1000", ".git"):
            (models / name / "1").mkdir(parents=True)
        (models / ".DS_Store").touch()
        (copied.parent / ".DS_Store").touch()
        (copied.parent / "1.left_out.csv").touch()
        assert [(ref.name, ref.version) for ref in list_bundles(models)] == [("name", 1)]
        assert [(ref.name, ref.version) for ref in find_bundles(models)] == [("name", 1)]
        (line,) = done("models", "list", models).stdout.splitlines()
        assert line.startswith("name/1  (current)")
