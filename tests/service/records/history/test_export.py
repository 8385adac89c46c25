import csv
from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import SecretStr

from anomaly.data import Dataset, open_dataset
from anomaly.errors import DataError, UsageError
from benchmarks.postgres import PostgresServer
from service.records.history.export import export_corrections, read_corrections, split_of
from tests.service.records.history.entries import Place, found, writing

NORMALS, ANOMALOUS, UNTOUCHED = range(40), range(40, 50), range(50, 55)


@pytest.fixture
def history(place: Place) -> Place:
    """Fifty corrected images, of which 3, 40 and 41 had been flagged, and five that nobody has looked at."""
    with writing(place) as do:
        do(lambda history: history.add([found(i, is_anomalous=i in (3, 40, 41, 52)) for i in range(55)]))
        for numbers, label in ((NORMALS, "normal"), (ANOMALOUS, "anomalous")):
            for i in numbers:
                do(lambda history, i=i, label=label: history.correct(i + 1, label, "a"))  # type: ignore[misc]
    return place


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The files of all, under other names, the last normal one twice, and one of something else."""
    folder = tmp_path / "images" / "deep"
    folder.mkdir(parents=True)
    for i in range(55):
        (folder / f"file-{i:02d}.png").write_bytes(b"%d" % i)
    (folder / "copy-of-39.png").write_bytes(b"39")
    (folder / "other.png").write_bytes(b"other")
    return tmp_path / "images"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_corrected_file_is_listed_once_with_its_label_and_one_split(
    history: Place, images: Path, tmp_path: Path
) -> None:
    made = export_corrections(history, [images], tmp_path / "out.csv")
    listed = rows(tmp_path / "out.csv")
    names = {Path(row["path"]).stem: (row["label"], row["split"]) for row in listed}
    assert len(listed) == len(names) == 50
    assert {name for name, (label, _) in names.items() if label == "anomalous"} == {f"file-{i}" for i in ANOMALOUS}
    assert {split for label, split in names.values() if label == "anomalous"} == {"test"}
    assert "copy-of-39" in names
    assert "file-39" not in names
    num_train = sum(split == "train" for _, split in names.values())
    assert (made.num_calibrate, made.num_evaluate_normal) == (num_train, 40 - num_train)
    assert 20 < num_train < 40
    assert (made.num_evaluate_anomalous, made.num_missing) == (10, 0)
    assert (made.num_flagged_normals, made.num_flagged_anomalous) == (1, 2)


def test_what_calibrates_is_never_evaluated_on(history: Place, images: Path, tmp_path: Path) -> None:
    export_corrections(history, [images], tmp_path / "out.csv")
    dataset = open_dataset(str(tmp_path / "out.csv"))
    bytes_of = [{Path(s.path).read_bytes() for s in samples} for samples in (dataset.train_normals(), dataset.test())]
    assert bytes_of[0] & bytes_of[1] == set()
    assert {b"%d" % i for i in NORMALS} <= bytes_of[0] | bytes_of[1]


def test_the_split_goes_by_the_hash_alone() -> None:
    hashes = [sha256(b"%d" % i).hexdigest() for i in range(2000)]
    splits = [split_of(each, "normal") for each in hashes]
    assert 0.17 < splits.count("test") / 2000 < 0.23
    assert {split_of(each, "anomalous") for each in hashes} == {"test"}
    assert [split_of(each, "normal", teach=True) for each in hashes] == splits
    teaching = [split_of(each, "anomalous", teach=True) for each in hashes]
    assert 0.47 < teaching.count("train") / 2000 < 0.53


def test_half_of_the_anomalous_ones_may_teach_and_the_others_are_evaluated_on(
    history: Place, images: Path, tmp_path: Path
) -> None:
    export_corrections(history, [images], tmp_path / "plain.csv")
    made = export_corrections(history, [images], tmp_path / "out.csv", teach=True)
    dataset, plain = (open_dataset(str(tmp_path / name)) for name in ("out.csv", "plain.csv"))
    taught = {Path(sample.path).name for sample in dataset.labelled_defects()}
    evaluated = {Path(sample.path).name for sample in dataset.test() if sample.label == "anomalous"}
    assert 0 < len(taught) < 10
    assert len(taught) + len(evaluated) == len(taught | evaluated) == 10
    assert (made.num_teach, made.num_evaluate_anomalous) == (len(taught), len(evaluated))
    flagged = {"file-40.png", "file-41.png"}
    assert made.num_flagged_anomalous == len(flagged & evaluated)
    for normals in (Dataset.train_normals, Dataset.untested_normals):
        assert normals(dataset) == normals(plain)


def test_pictures_of_one_part_teach_or_are_evaluated_on_together(place: Place, tmp_path: Path) -> None:
    with writing(place) as do:
        do(lambda history: history.add([found(i, part=f"part {i // 4}") for i in range(80)]))
        for i in range(80):
            do(lambda history, i=i: history.correct(i + 1, "anomalous", "a"))  # type: ignore[misc]
    (tmp_path / "images").mkdir()
    for i in range(80):
        (tmp_path / "images" / f"{i:02d}.png").write_bytes(b"%d" % i)
    export_corrections(place, [tmp_path / "images"], tmp_path / "out.csv", teach=True)
    splits = {(row["group"], row["split"]) for row in rows(tmp_path / "out.csv")}
    assert len(splits) == 20
    assert {split for _, split in splits} == {"train", "test"}


def test_the_last_correction_of_an_image_counts(history: Place) -> None:
    with writing(history) as do:
        (number,) = do(lambda history: history.add([found(7)]))
        do(lambda history: history.correct(int(number or 0), "anomalous", "b"))
    assert read_corrections(history)[sha256(b"7").hexdigest()].label == "anomalous"


def test_what_has_no_file_is_counted(history: Place, images: Path, tmp_path: Path) -> None:
    (images / "deep" / "file-00.png").unlink()
    assert export_corrections(history, [images], tmp_path / "out.csv").num_missing == 1


def test_mistakes(history: Place, images: Path, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "other.png").write_bytes(b"other")
    with pytest.raises(DataError, match="none of 1 files"):
        export_corrections(history, [tmp_path / "others"], tmp_path / "out.csv")
    with pytest.raises(UsageError, match=f"{tmp_path / 'nowhere'} does not exist; give a folder of the image files"):
        export_corrections(history, [images, tmp_path / "nowhere"], tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    for out in (tmp_path / "out.txt", tmp_path / "no" / "out.csv"):
        with pytest.raises(UsageError, match="in a folder that exists"):
            export_corrections(history, [images], out)


def test_before_the_first_correction_that_is_what_is_said_and_no_file_is_blamed(
    place: Place, images: Path, tmp_path: Path
) -> None:
    with writing(place) as do:
        do(lambda history: history.add([found(7)]))
    with pytest.raises(DataError, match="has no corrections yet"):
        export_corrections(place, [images], tmp_path / "out.csv")


def test_what_is_no_history_has_no_corrections(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 99)
    for name in ("nowhere", "text"):
        with pytest.raises(UsageError, match="anomaly serve --history"):
            read_corrections(tmp_path / name)


def test_a_database_that_has_none_is_left_empty(postgres: PostgresServer) -> None:
    url = SecretStr(postgres.new_database())
    for _ in range(2):
        with pytest.raises(UsageError, match="has no history, and not one of version 3"):
            read_corrections(url)
    with pytest.raises(UsageError, match=r"the history \*+ cannot be read: .*Connection refused"):
        read_corrections(SecretStr("postgresql://me:secret@127.0.0.1:1/x"))


def test_pictures_of_one_part_are_in_one_split_and_the_manifest_names_it(place: Place, tmp_path: Path) -> None:
    with writing(place) as do:
        do(lambda history: history.add([found(i, part=f"part {i % 8}" if i < 40 else None) for i in range(50)]))
        for i in range(50):
            do(lambda history, i=i: history.correct(i + 1, "normal", "a"))  # type: ignore[misc]
    (tmp_path / "images").mkdir()
    for i in range(50):
        (tmp_path / "images" / f"{i}.png").write_bytes(b"%d" % i)
    export_corrections(place, [tmp_path / "images"], tmp_path / "out.csv")
    of_part: dict[str, set[str]] = {}
    for row in rows(tmp_path / "out.csv"):
        i = int(Path(row["path"]).stem)
        assert row["group"] == (f"part {i % 8}" if i < 40 else "")
        of_part.setdefault(row["group"], set()).add(row["split"])
    assert of_part.pop("") == {"train", "test"}
    assert sorted(map(tuple, of_part.values()), reverse=True) == [("train",)] * 6 + [("test",)] * 2
    assert {s.group for s in open_dataset(str(tmp_path / "out.csv")).samples} == {"", *(f"part {i}" for i in range(8))}


def test_a_manifest_with_other_lines_is_not_replaced(history: Place, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    for _ in range(2):
        export_corrections(history, [images], out)
    whole = out.read_bytes()
    out.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))  # an export of before one more correction
    export_corrections(history, [images], out)
    assert out.read_bytes() == whole
    corrected = whole.replace(b"normal", b"anomalous", 1)
    out.write_bytes(corrected)
    with pytest.raises(UsageError, match="is not an export of fewer corrections, so it is not replaced: move it away"):
        export_corrections(history, [images], out)
    assert out.read_bytes() == corrected
