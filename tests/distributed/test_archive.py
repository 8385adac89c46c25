"""`anomaly archive` on this machine: each image its row, each shard its file, the same bytes whatever happens."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from anomaly import load_detector
from anomaly.calibration import reject_fdr
from anomaly.data import Limits
from anomaly.distributed.archive import ArchiveOptions, score_archive
from anomaly.distributed.reading import images_of
from anomaly.distributed.shards import list_shards
from anomaly.distributed.tally import Tally
from anomaly.distributed.workers import Workers
from anomaly.errors import DataError
from anomaly.locks import writing_folder
from benchmarks.archives import draw_ring, hashes, leftovers, write_tars
from tests.cli.calls import call, done, refused
from tests.distributed.archives import (
    MNIST,
    OPTIONS,
    broken_tars,
    manifest_of,
    rows_of,
    write_every_layout,
    write_folder,
    write_tar,
)


@pytest.fixture(scope="module")
def every_layout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An archive with shards of all kinds, and its results."""
    folder = tmp_path_factory.mktemp("archive")
    source, out = write_every_layout(folder / "src"), folder / "dest"
    told = call("archive", MNIST, source, "--out", out, *OPTIONS)
    assert told.exit_code == 1, told.output  # for the picture that is cut off
    assert "6 of 6 shards" in told.stdout
    return source, out


def test_each_shard_has_its_file_and_each_image_its_row(every_layout: tuple[Path, Path]) -> None:
    _, out = every_layout
    names = ["bytes.parquet", "deep/faces.parquet", "deep/line 1", "odd.tar", "packed.tar.gz", "plain.tar"]
    assert list(hashes(out)) == sorted(f"{name}.parquet" for name in names)
    assert [row["path"] for row in rows_of(out / "plain.tar.parquet")] == [f"plain.tar/{n:06d}.png" for n in range(8)]
    assert [row["path"] for row in rows_of(out / "deep" / "line 1.parquet")] == [
        f"deep/line 1/{n}.png" for n in range(8)
    ]
    assert rows_of(out / "deep" / "faces.parquet.parquet")[3]["path"] == "deep/faces.parquet/3.png"
    assert rows_of(out / "bytes.parquet.parquet")[3]["path"] == "bytes.parquet/000003"
    assert leftovers(out) == []


def test_rows_are_those_of_anomaly_score(every_layout: tuple[Path, Path], tmp_path: Path) -> None:
    source, out = every_layout
    results = tmp_path / "results.parquet"
    done("score", MNIST, source / "deep" / "line 1", "--out", results, "--device", "cpu")
    expected = [{**row, "path": None} for row in rows_of(results)]
    assert [{**row, "path": None} for row in rows_of(out / "deep" / "line 1.parquet")] == expected


def write_masked(folder: Path) -> Path:
    """Pictures with masks in folders and beside them, and the heatmaps that `score` draws of some."""
    write_folder(folder / "line", 0)
    done("score", MNIST, folder / "line", "--out", folder / "r.csv", "--heatmaps", folder / "line", "--device", "cpu")
    for place in ("ground_truth/cut", "masks", "beside"):
        (folder / place).mkdir(parents=True)
    mask = Image.new("L", (28, 28))
    mask.paste(255, (3, 3, 9, 9))
    for number in range(2):
        mask.save(folder / "ground_truth" / "cut" / f"{number}.png")
        mask.save(folder / "masks" / f"{number}.png")
        mask.save(folder / "beside" / f"{number}_mask.png")
        (folder / "beside" / f"{number}.png").write_bytes(draw_ring(700 + number))
    (folder / "labels").mkdir()  # a class of pictures that is called so
    (folder / "labels" / "0.png").write_bytes(noise())
    return folder


def noise() -> bytes:
    stream = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_masks_and_drawn_pictures_in_folders_are_left_out_as_score_leaves_them_out(tmp_path: Path) -> None:
    source, out = write_masked(tmp_path / "src"), tmp_path / "dest"
    done("score", MNIST, source, "--out", tmp_path / "all.parquet", "--device", "cpu")
    expected = [str(Path(str(row["path"])).relative_to(source)) for row in rows_of(tmp_path / "all.parquet")]
    for before in ("", ", 11 of them before"):
        told = done("archive", MNIST, source, "--out", out, *OPTIONS)
        assert "left out of folders: 14 masks or drawn pictures" in told.stderr
        assert f"11 rows{before}, " in told.stdout
        assert sorted(str(row["path"]) for path in out.rglob("*.parquet") for row in rows_of(path)) == expected
        assert manifest_of(out)["num_left_out"] == 14


def test_a_folder_that_is_named_is_scored_whatever_it_is_called(tmp_path: Path) -> None:
    folder = write_masked(tmp_path / "src") / "ground_truth" / "cut"
    assert "2 rows, " in done("archive", MNIST, folder, "--out", tmp_path / "dest", *OPTIONS).stdout


def test_odd_names_harm_nothing_and_a_picture_that_is_cut_off_costs_its_row(every_layout: tuple[Path, Path]) -> None:
    rows = rows_of(every_layout[1] / "odd.tar.parquet")
    names = ["../../outside.png", "/etc/absolute.png", "twice.png", "twice.png", "cut-off.png", "größe.PNG"]
    assert [row["path"] for row in rows] == [f"odd.tar/{name}" for name in names]
    errors = [row["error"] for row in rows]
    assert errors[:4] == [None] * 4
    assert "odd.tar/cut-off.png: " in str(errors[4])
    assert errors[5] is None
    assert rows[0]["score"] == rows[2]["score"] != rows[3]["score"]


def test_the_manifest_counts_and_names_the_bundle(every_layout: tuple[Path, Path]) -> None:
    manifest = manifest_of(every_layout[1])
    assert (manifest["num_shards"], manifest["num_rows"], manifest["num_failed"]) == (6, 46, 1)
    assert manifest["failed_shards"] == {}
    assert sum(manifest["errors"].values()) == 1  # type: ignore[attr-defined]
    said = json.loads(parquet.read_schema(every_layout[1] / "odd.tar.parquet").metadata[b"anomaly"])
    assert said["of"]["digest"] == manifest["digest"]


def test_what_is_done_is_not_done_again_and_what_has_changed_is(tmp_path: Path) -> None:
    source, out = write_tars(tmp_path / "src", 3, 5), tmp_path / "dest"
    done("archive", MNIST, source, "--out", out, *OPTIONS)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    os.utime(out / "shard-00000.tar.parquet")
    (out / "shard-00002.tar.parquet").write_bytes(b"cut off")
    write_tar(source / "shard-00001.tar", 900)
    assert "1 of 3 shards" in done("archive", "--status", out).stdout
    first = hashes(out)
    again = done("archive", MNIST, source, "--out", out, *OPTIONS)
    assert "18 rows, 5 of them before" in again.stdout
    assert hashes(out)["shard-00000.tar.parquet"] == first["shard-00000.tar.parquet"]
    assert hashes(out)["shard-00001.tar.parquet"] != first["shard-00001.tar.parquet"]
    assert (out / "shard-00002.tar.parquet").stat().st_mtime_ns > before["shard-00002.tar.parquet"]
    told = done("archive", "--status", out).stdout
    assert "3 of 3 shards" in told
    assert "the run has ended: 18 rows" in told
    assert "18 rows, " in done("archive", MNIST, source, "--out", out, "--alpha", "0.1", *OPTIONS).stdout
    assert hashes(out)["shard-00000.tar.parquet"] != first["shard-00000.tar.parquet"]


def test_without_a_threshold_no_image_is_counted_as_judged(tmp_path: Path) -> None:
    source, out = write_tars(tmp_path / "src", 1, 4), tmp_path / "dest"
    for told in (
        done("archive", MNIST, source, "--out", out, "--alpha", "0.001", *OPTIONS),
        done("archive", "--status", out),
    ):
        assert "4 rows, no verdicts, 0 without a score" in told.stdout
    assert json.loads((out / "_manifest.json").read_text())["num_anomalous"] is None


def test_an_input_of_the_future_is_done_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    """As where the clock of the machine that wrote it is ahead."""
    source, out = write_tars(tmp_path / "src", 2, 5), tmp_path / "dest"
    at = time.time() + 10**6
    os.utime(source / "shard-00001.tar", (at, at))
    for options in ((), ("--fdr", "0.1"), ()):  # marking writes the results anew
        done("archive", MNIST, source, "--out", out, *options, *OPTIONS)
        assert "2 of 2 shards" in done("archive", "--status", out).stdout
    assert "10 rows, 10 of them before" in done("archive", MNIST, source, "--out", out, *OPTIONS).stdout
    os.utime(source / "shard-00001.tar", (at + 1, at + 1))
    assert "1 of 2 shards" in done("archive", "--status", out).stdout
    assert "10 rows, 5 of them before" in done("archive", MNIST, source, "--out", out, *OPTIONS).stdout


@pytest.mark.parametrize("kind", broken_tars())
def test_a_damaged_shard_is_said_to_be_so(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"{kind}.tar"
    path.write_bytes(broken_tars()[kind])
    with pytest.raises(DataError, match=r"damaged or cannot be read \(.+\)"):
        list(images_of(next(list_shards(str(path))), Limits()))


def test_a_corrupt_shard_costs_itself_alone_with_its_reason(tmp_path: Path) -> None:
    source, out = write_tars(tmp_path / "src", 2, 5), tmp_path / "dest"
    done("archive", MNIST, source, "--out", out, *OPTIONS)
    expected = hashes(out)
    (source / "shard-00001.tar").write_bytes(broken_tars()["damaged-header"])
    (source / "table.parquet").write_bytes(b"PAR1 no more")
    told = call("archive", MNIST, source, "--out", out, *OPTIONS)
    assert told.exit_code == 1
    assert "1 of 3 shards" in told.stdout
    assert "Traceback" not in told.output
    assert hashes(out) == {"shard-00000.tar.parquet": expected["shard-00000.tar.parquet"]}
    failed = manifest_of(out)["failed_shards"]
    assert list(failed) == ["shard-00001.tar", "table.parquet"]  # type: ignore[call-overload]
    assert "damaged" in failed["shard-00001.tar"]  # type: ignore[index]


def test_fdr_flags_as_over_all_rows_and_the_column_can_be_changed_and_taken_away(tmp_path: Path) -> None:
    source, out = write_tars(tmp_path / "src", 3, 40), tmp_path / "dest"
    done("archive", MNIST, source, "--out", out, *OPTIONS)
    plain = hashes(out)
    told = done("archive", MNIST, source, "--out", out, "--fdr", "0.2", *OPTIONS)
    assert "120 of them before" in told.stdout
    tables = [parquet.read_table(path) for path in sorted(out.glob("*.parquet"))]
    assert tables[0].column_names[-2:] == ["fdr_rejected", "error"]
    p_values = np.concatenate([table["p_value"].to_numpy() for table in tables])
    flags = [flag for table in tables for flag in table["fdr_rejected"].to_pylist()]
    assert flags == reject_fdr(p_values, 0.2).tolist()
    assert 0 < sum(flags) < len(flags)
    marked = hashes(out)
    fresh = tmp_path / "fresh"
    done("archive", MNIST, source, "--out", fresh, "--fdr", "0.2", *OPTIONS)
    assert hashes(fresh) == marked
    done("archive", MNIST, source, "--out", out, *OPTIONS)
    assert hashes(out) == plain


def test_files_of_which_one_page_was_read_are_counted(tmp_path: Path) -> None:
    """Over all shards; those that were done before are not read again."""
    source, out = tmp_path / "src", tmp_path / "dest"
    first, second = (Image.open(BytesIO(draw_ring(number))) for number in range(2))
    for lot in ("a", "b"):
        write_folder(source / lot, 0)
        first.save(source / lot / "pages.tif", save_all=True, append_images=[second])
    told = ": there are several pages or frames, of which only the first was read"
    many = f"2 of the images, such as a/pages.tif{told}"
    assert many in " ".join(call("archive", MNIST, source, "--out", out, *OPTIONS).stderr.split())
    for shard in ("a", "b"):
        rows = rows_of(out / f"{shard}.parquet")
        warnings = {row["path"]: row["warning"] for row in rows if row["warning"]}
        assert warnings == {f"{shard}/pages.tif": told[2:]}
    (out / "b.parquet").unlink()
    one = f"1 of the images, b/pages.tif{told}"
    assert one in " ".join(call("archive", MNIST, source, "--out", out, *OPTIONS).stderr.split())
    assert told not in call("archive", MNIST, source, "--out", out, *OPTIONS).stderr


def test_a_list_whose_shards_would_share_results_is_refused(tmp_path: Path) -> None:
    """Else the second would take the place of the first, and both would be scored anew each time."""
    for folder in (tmp_path / "line", tmp_path / "lists" / "line"):
        folder.mkdir(parents=True)
        write_tar(folder / "a.tar", 0)
    listing = tmp_path / "lists" / "shards.txt"
    listing.write_text("line/a.tar\n../line/a.tar\n")
    with pytest.raises(
        DataError, match=r"two shards whose results would both be line/a\.tar\.parquet; give one of them"
    ):
        list(list_shards(str(listing)))
    listing.write_text(f"line/a.tar\n{tmp_path / 'line' / 'a.tar'}\n")
    assert len({shard.result for shard in list_shards(str(listing))}) == 2


@pytest.fixture
def nothing_done(tmp_path: Path) -> Iterator[Path]:
    source = tmp_path / "src"
    (source / "inner").mkdir(parents=True)
    (source / "0.png").write_bytes(draw_ring(0))
    yield source
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock") in (
        ["0.png"],
        ["0.png", "0.png"],
    )


def test_mistakes_are_one_sentence_each(nothing_done: Path) -> None:
    source, out = nothing_done, nothing_done.parent / "dest"
    for arguments, said in {
        (MNIST, source): "--out DEST",
        (MNIST, source, "--out", out, "--status", out): "--out DEST",
        (MNIST, source, "--out", source / "inner"): "lies within SRC",
        (MNIST, source / "none", "--out", out): "does not exist",
        (MNIST, source / "0.png", "--out", out): "is no shard",
        (MNIST, source / "inner", "--out", out): "has no shards",
        (MNIST, "s3://key:secret@bucket/x", "--out", out): "credentials",
        (MNIST, "ftp://bucket/x", "--out", out): "cannot be opened",
        (MNIST, source, "--out", out, "--fdr", "2"): "between 0 and 1",
        (source, source, "--out", out): "no bundle",
        (MNIST, source, "--out", out, "--ray", "127.0.0.1:9"): "no Ray cluster answers",
        ("--status", source): "holds no results",
        ("--report", source): "holds no results",
    }.items():
        assert said in refused("archive", *arguments), arguments
        shutil.rmtree(out, ignore_errors=True)


def test_a_second_driver_is_refused_on_a_disk(tmp_path: Path) -> None:
    source, out = write_tars(tmp_path / "src", 1, 2), tmp_path / "dest"
    with writing_folder(out, "the results of an archive"):
        assert " is writing the results of an archive in " in refused("archive", MNIST, source, "--out", out, *OPTIONS)


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    source, out = write_tars(tmp_path / "src", 1, 2), tmp_path / "dest"
    out.mkdir()
    (out / ".shard-00000.tar.parquet.12-ab.partial").write_bytes(b"half")
    done("archive", MNIST, source, "--out", out, *OPTIONS)
    assert leftovers(out) == []


def test_what_a_worker_left_that_died_meanwhile_is_removed_too(tmp_path: Path) -> None:
    """Its shard is scored again, so the run ends well."""
    source, out = write_tars(tmp_path / "src", 1, 2), tmp_path / "dest"
    left = out / ".shard-00000.tar.parquet.12-ab.partial"

    def die(tally: Tally) -> None:
        left.write_bytes(b"half")

    options = ArchiveOptions(MNIST, str(source), str(out), Workers(num=1), device="cpu")
    summary = score_archive(options, on_shard=die)
    assert summary.tally.num_shards_failed == 0
    assert leftovers(out) == []


def test_rows_warn_of_sizes_that_did_not_calibrate_before_and_after_they_are_marked(
    whole_places_dir: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "src", tmp_path / "dest"
    source.mkdir()
    for side in (40, 64):
        Image.new("L", (side, side), 120).save(source / f"{side}.png")
    expected = {"src/40.png": load_detector(whole_places_dir).size_warning(40, 40), "src/64.png": None}
    for more in ((), ("--fdr", "0.5")):
        done("archive", whole_places_dir, source, "--out", out, *more, *OPTIONS)
        (path,) = out.rglob("*.parquet")
        assert {row["path"]: row["warning"] for row in rows_of(path)} == expected
        assert parquet.read_schema(path).names[-1] == "error"


def test_results_with_the_columns_of_an_older_version_are_made_anew(tmp_path: Path) -> None:
    """Else one archive would have files of two kinds, and readers go by the columns of the first."""
    source, out = write_tars(tmp_path / "src", 2, 5), tmp_path / "dest"
    done("archive", MNIST, source, "--out", out, "--fdr", "0.5", *OPTIONS)
    first, old = hashes(out), out / "shard-00000.tar.parquet"
    table = parquet.read_table(old)
    parquet.write_table(table.drop_columns(["latent_norm"]), old)
    assert "10 rows, 5 of them before" in done("archive", MNIST, source, "--out", out, "--fdr", "0.5", *OPTIONS).stdout
    assert hashes(out) == first


def test_a_table_of_the_user_is_not_replaced(tmp_path: Path) -> None:
    source, out = write_tars(tmp_path / "src", 2, 5), tmp_path / "dest"
    out.mkdir()
    mine = out / "shard-00000.tar.parquet"
    parquet.write_table(pa.table({"path": ["a.png"], "label": ["normal"]}), mine)
    before = mine.read_bytes()
    told = call("archive", MNIST, source, "--out", out, *OPTIONS)
    assert told.exit_code == 1
    assert "shard-00000.tar.parquet in" in told.stderr
    assert "a table that this command has not written" in told.stderr
    assert mine.read_bytes() == before
    assert "1 of 2 shards" in told.stdout
