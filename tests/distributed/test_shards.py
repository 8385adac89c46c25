"""A list of shards: each is named once, and none takes another's place."""

from pathlib import Path

from benchmarks.archives import hashes
from tests.cli.calls import call, done, refused
from tests.distributed.archives import MNIST, NUM, OPTIONS, manifest_of, rows_of, write_folder, write_tar


def test_a_list_names_shards(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", 0)
    write_folder(tmp_path / "line", 50)
    listing = tmp_path / "shards.txt"
    listing.write_text(f"# two\na.tar\n\n{tmp_path / 'line'}\n")
    out = tmp_path / "dest"
    done("archive", MNIST, listing, "--out", out, *OPTIONS)
    assert {Path(name).name for name in hashes(out)} == {"a.tar.parquet", "line.parquet"}
    before = hashes(out)
    for again in ("a.tar", "./a.tar", "line/../a.tar", str(tmp_path / "a.tar")):
        listing.write_text(f"line\na.tar\n{again}\n")
        said = refused("archive", MNIST, listing, "--out", out, *OPTIONS)
        assert "names a shard twice: a.tar; name each once" in said
    assert hashes(out) == before


def test_listed_shards_whose_results_would_have_one_name_are_refused(tmp_path: Path) -> None:
    """The second one's results would replace those of the first."""
    write_folder(tmp_path / "lot", 0)
    write_folder(tmp_path / "night" / "lot", 50)
    listing, out = tmp_path / "night" / "shards.txt", tmp_path / "dest"
    listing.write_text("lot\n../lot\n")
    said = refused("archive", MNIST, listing, "--out", out, *OPTIONS)
    assert "names two shards whose results would both be lot.parquet" in said
    (tmp_path / "shards.txt").write_text("night/lot\nlot\n")
    done("archive", MNIST, tmp_path / "shards.txt", "--out", out, *OPTIONS)
    assert sum(len(rows_of(out / name)) for name in hashes(out)) == 2 * NUM


def test_a_listed_folder_without_images_is_no_shard(tmp_path: Path) -> None:
    """The shards in it are not taken for nothing."""
    (tmp_path / "lots").mkdir()
    write_tar(tmp_path / "lots" / "a.tar", 0)
    (tmp_path / "shards.txt").write_text("lots\n")
    out = tmp_path / "dest"
    told = call("archive", MNIST, tmp_path / "shards.txt", "--out", out, *OPTIONS)
    assert told.exit_code == 2
    assert "lots is a folder that holds no images directly" in told.output
    assert manifest_of(out)["num_shards_failed"] == 1
    assert hashes(out) == {}
