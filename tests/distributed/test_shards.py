"""A list of shards: each is named once, and none takes another's place."""

import os
from pathlib import Path

import pytest

from anomaly.data import Limits
from anomaly.distributed.others import other_tables
from anomaly.distributed.reading import images_of
from anomaly.distributed.shards import list_shards, state_of
from anomaly.distributed.storage import Entry, Storage
from anomaly.errors import DataError, ImageError
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


def test_links_to_folders_are_followed_but_never_in_a_circle(tmp_path: Path) -> None:
    """Two links to the folder itself would be 2 to the power of 40 shards."""
    write_folder(tmp_path / "src" / "line", 0)
    write_folder(tmp_path / "other", 0)
    for name in ("again", "and again"):
        (tmp_path / "src" / "line" / name).symlink_to(".")
        (tmp_path / "src" / name).symlink_to("../src")
    (tmp_path / "src" / "linked").symlink_to("../other")
    assert [shard.name for shard in list_shards(str(tmp_path / "src"))] == ["line", "linked"]
    (tmp_path / "src" / "line" / "a.parquet").write_bytes(b"")
    assert other_tables(Storage(str(tmp_path / "src")), []).num == 1


def test_a_folder_that_cannot_be_listed_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "src" / "a", 0)
    write_folder(tmp_path / "src" / "b", 0)
    listed = Storage.list

    def refusing(storage: Storage, folder: str = "") -> list[Entry]:
        if folder == "a" or storage.address.endswith("/a"):
            raise DataError("a cannot be read: Permission denied")
        return listed(storage, folder)

    monkeypatch.setattr(Storage, "list", refusing)
    shards = list(list_shards(str(tmp_path / "src")))
    assert [shard.name for shard in shards] == ["a", "b"]
    with pytest.raises(DataError, match="a cannot be read: Permission denied"):
        state_of(shards[0])
    assert state_of(shards[1]).num_files == NUM
    with pytest.raises(DataError, match="a cannot be read: Permission denied"):
        list(list_shards(str(tmp_path / "src" / "a")))


def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    """As by `anomaly score`. The reason names no place of this machine, since rows are the same from everywhere."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "x.png").symlink_to("nowhere.png")
    (tmp_path / "src" / "y.tar").symlink_to("nowhere.tar")
    folder, tar = list_shards(str(tmp_path / "src"))
    [(name, error)] = images_of(folder, Limits())
    assert (name, tar.name) == ("src/x.png", "y.tar")
    assert isinstance(error, ImageError)
    assert str(error) == "src/x.png: cannot be read (No such file or directory)"
    with pytest.raises(DataError, match="is not there any more"):
        state_of(tar)


def test_names_that_are_not_utf8_are_scored(tmp_path: Path) -> None:
    """As by `anomaly score`; such names are on old disks and cameras."""
    folder = tmp_path / "src" / "line \udcff"
    write_folder(folder, 0)
    (folder / "0.png").rename(folder / "a\udce4.png")
    write_tar(tmp_path / "src" / "\udcfe.tar", 0)
    out = tmp_path / "dest"
    for _ in range(2):
        told = done("archive", MNIST, tmp_path / "src", "--out", out, *OPTIONS)
        assert "2 of 2 shards" in told.stdout
    assert "16 of them before" in told.stdout
    paths = [row["path"] for row in rows_of(out / r"line \xff.parquet")]
    assert paths[-1] == r"line \xff/a\xe4.png"
    assert len(paths) == NUM
    assert "2 of 2 shards" in done("archive", "--status", out).stdout
    done("archive", "--report", out, "--device", "cpu")


def test_pipes_and_devices_get_their_reason_and_are_not_waited_for(tmp_path: Path) -> None:
    """Among the pictures, as a shard, and as SRC itself."""
    folder = tmp_path / "src" / "line"
    write_folder(folder, 0)
    os.mkfifo(folder / "pipe.png")
    (folder / "null.png").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "src" / "pipe.tar")
    shards = {shard.name: shard for shard in list_shards(str(tmp_path / "src"))}
    assert set(shards) == {"line", "pipe.tar"}
    failed = {name: str(found) for name, found in images_of(shards["line"], Limits()) if isinstance(found, ImageError)}
    assert failed == {
        name: f"{name}: cannot be read (it is not a regular file)" for name in ("line/null.png", "line/pipe.png")
    }
    assert state_of(shards["line"]).num_files == NUM + 2
    (alone,) = list_shards(str(tmp_path / "src" / "pipe.tar"))
    for shard in (shards["pipe.tar"], alone):
        with pytest.raises(DataError, match="not a regular file"):
            list(images_of(shard, Limits()))
