"""Tables in DEST that are no results of SRC are told, and left there."""

from pathlib import Path

from benchmarks.archives import hashes
from tests.cli.calls import call
from tests.distributed.archives import MNIST, OPTIONS, manifest_of, write_folder


def test_tables_of_other_shards_are_told_and_left(tmp_path: Path) -> None:
    """A folder that was renamed would count twice for who reads DEST as one table."""
    source, out = tmp_path / "src", tmp_path / "dest"
    write_folder(source / "a", 0)
    write_folder(source / "deep" / "b", 50)
    told = call("archive", MNIST, source, "--out", out, *OPTIONS)
    assert "no result of SRC" not in told.output
    assert manifest_of(out)["num_other_tables"] == 0
    old = hashes(out)
    (source / "deep" / "b").rename(source / "deep" / "c")
    expected = "has 1 table that is no result of SRC, such as deep/b.parquet"
    told = call("archive", MNIST, source, "--out", out, *OPTIONS)
    assert told.exit_code == 0
    assert expected in told.stderr
    assert expected in call("archive", "--status", out).stdout
    assert manifest_of(out)["num_other_tables"] == 1
    assert hashes(out).keys() == old.keys() | {"deep/c.parquet"}
