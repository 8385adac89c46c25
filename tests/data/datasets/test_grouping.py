"""`--groups`: the part of each normal image, by a manifest's column or by file names; which parts are held out."""

import re
from pathlib import Path

import pytest

from anomaly.data import Dataset, Sample, describe, open_dataset
from anomaly.data.datasets.grouping import with_parts
from anomaly.errors import DataError, UsageError


def folder(*names: str, defects: tuple[str, ...] = ()) -> Dataset:
    normals = tuple(Sample(f"part_9_/{name}", None, "normal", "") for name in names)
    return Dataset("d", "classes", (*normals, *(Sample(name, None, "anomalous", "cut") for name in defects)))


def manifest(tmp_path: Path, *lines: str) -> str:
    (tmp_path / "list.csv").write_text("\n".join(["path,label,group", *lines]))
    for line in lines:
        (tmp_path / line.split(",")[0]).touch()
    return str(tmp_path / "list.csv")


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        (r"part_(\d+)_", ["1", "1", "12"]),
        (r"part_\d+_(\d)\.png", ["0", "1", "0"]),
        (r"part_\d+", ["part_1", "part_1", "part_12"]),
        (r"^part_(?:(\d)|(\d\d))_", ["1", "1", ""]),
    ],
)
def test_the_first_group_is_the_part_or_else_the_whole_match(pattern: str, parts: list[str]) -> None:
    """It is searched for in the file's name alone: the folders here match too."""
    data = folder("part_1_0.png", "part_1_1.png", "part_12_0.png")
    if "" in parts:
        with pytest.raises(DataError, match=r"d: the names of 1 of 3 normal images .*part_12_0\.png; change the exp"):
            with_parts(data, pattern)
    else:
        assert list(with_parts(data, pattern).parts.values()) == parts


def test_an_image_that_does_not_match_is_named_with_what_to_do() -> None:
    names = [f"x{number}.png" for number in range(5)]
    with pytest.raises(DataError) as caught:
        with_parts(folder("part_1_0.png", *names), r"^part_(\d+)_")
    assert str(caught.value) == (
        r"d: the names of 5 of 6 normal images do not match --groups '^part_(\d+)_': part_9_/x0.png, part_9_/x1.png, "
        "part_9_/x2.png …; the folders do, but only the name of the file is searched, x0.png. Put the part into the "
        "names of the files, or write a manifest with the column group, and give --groups group"
    )
    with pytest.raises(DataError) as caught:
        with_parts(folder("part_1_0.png", *names), r"^piece_(\d+)_")
    assert str(caught.value) == (
        r"d: the names of 6 of 6 normal images do not match --groups '^piece_(\d+)_': part_9_/part_1_0.png, "
        "part_9_/x0.png, part_9_/x1.png …; change the expression so that it finds the part in each name, move these "
        "files away, or write a manifest with the column group"
    )


def test_anomalies_may_have_other_names() -> None:
    data = with_parts(folder("part_1_0.png", defects=("bad.png",)), r"^part_(\d+)_")
    assert data.parts == {"part_9_/part_1_0.png": "1"}


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("part_(", r"--groups 'part_\(' is no regular expression \(missing \), unterminated subpattern"),
        ("group", r"--groups group is the column of a manifest, and d is none; give a regular expression"),
    ],
)
def test_options_that_cannot_be_used(groups: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        with_parts(folder("part_1_0.png"), groups)


def test_a_manifest_has_a_column(tmp_path: Path) -> None:
    data = open_dataset(manifest(tmp_path, "a.png,normal, 7 ", "b.png,normal,8", "c.png,anomalous,"), groups="group")
    assert list(data.parts.values()) == ["7", "8"]
    assert data.parts_of([str(tmp_path / "b.png"), str(tmp_path / "a.png")]) == ["8", "7"]


def test_a_manifest_may_be_told_by_its_files_names_too(tmp_path: Path) -> None:
    data = open_dataset(manifest(tmp_path, "a1.png,normal,7", "b1.png,normal,8"), groups=r"(\d)")
    assert set(data.parts.values()) == {"1"}


def test_a_manifest_that_leaves_its_column_empty_is_refused(tmp_path: Path) -> None:
    path = manifest(tmp_path, "a.png,normal,7", "b.png,normal,", "c.png,anomalous,")
    with pytest.raises(
        DataError, match=r"1 of 2 normal images have nothing in the column group: .*b\.png; write there"
    ):
        open_dataset(path, groups="group")
    assert open_dataset(path).parts == {}


def test_a_manifest_without_the_column_is_told_which_it_has(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "list.csv").write_text("path,Label,part,\na.png,normal,7,")
    with pytest.raises(DataError) as caught:
        open_dataset(str(tmp_path / "list.csv"), groups="group")
    assert str(caught.value) == (
        f"{tmp_path / 'list.csv'}: has no column group; its columns are path, label, part. If one of them says which "
        "part each image shows, call it group; else add that column, or leave --groups away"
    )


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (
            "part_no",
            "the manifest has a column part_no: if that .* call it group .* give --groups group$",
        ),
        ("Part_Nos", "the manifest has a column part_no: "),
        ("groups", "for the manifest's column group give --groups group$"),
        (r"tile_(\d+)", "change the expression"),
    ],
)
def test_an_expression_that_may_be_meant_as_a_column_is_told_of_it(tmp_path: Path, groups: str, said: str) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "list.csv").write_text("path,label,part_no,group\na.png,normal,7,8")
    with pytest.raises(DataError, match=rf"do not match --groups '{re.escape(groups)}': .*a\.png; {said}"):
        open_dataset(str(tmp_path / "list.csv"), groups=groups)


def test_lines_of_one_image_agree_on_its_part(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lines 2 and 3: both are .*a\.png, but one says group '7' and the other '8'"):
        open_dataset(manifest(tmp_path, "a.png,normal,7", "a.png,normal,8"))


def test_every_fifth_part_is_held_out_with_all_its_images() -> None:
    names = [f"part_{number % 11}_{number}.png" for number in range(33)]
    data = with_parts(folder(*names, defects=("bad.png",)), r"part_(\d+)_")
    tested = {data.parts[sample.path] for sample in data.test() if sample.label == "normal"}
    trained = {data.parts[sample.path] for sample in data.train_normals()}
    assert tested == {"0", "5", "10"}
    assert trained == set(map(str, range(11))) - tested
    assert len(data.train_normals()) == 24


def test_what_the_parts_are_is_said(tmp_path: Path) -> None:
    names = [f"part_{number % 11}_{number}.png" for number in range(33)]
    data = with_parts(folder(*names, defects=("bad.png",)), r"part_(\d+)_")
    assert "its normal images show 11 parts (0, 1, 2 …); train takes those of 8" in describe(data)
    path = manifest(tmp_path, "a.png,normal,7", "b.png,normal,8")
    assert "the column group is used where --groups group is given" in describe(open_dataset(path))
    assert "its normal images show 2 parts (7, 8); train takes those of 2" in describe(
        open_dataset(path, groups="group")
    )


def test_a_command_that_needs_no_groups_is_not_told_of_them(tmp_path: Path) -> None:
    data = open_dataset(manifest(tmp_path, "a.png,normal,7", "b.png,anomalous,8"))
    assert any("--groups" in sentence for sentence in describe(data))
    assert not any("--groups" in sentence for sentence in describe(data, "refine"))
    assert "its labelled defects show 1 part (8)" in describe(data, "refine")


def test_what_the_parts_of_labelled_defects_are_is_said(tmp_path: Path) -> None:
    lines = "a.png,normal,7", "b.png,anomalous,8", "c.png,anomalous,8", "d.png,anomalous,9"
    others = "e.png,anomalous,", "f.png,anomalous,"
    path = manifest(tmp_path, *lines, *others)
    said = "its labelled defects show 2 parts (8, 9); 2 others have none, and each shows its own"
    assert said in describe(open_dataset(path), "refine")
    path = manifest(tmp_path, *lines, others[0])
    said = "its labelled defects show 2 parts (8, 9); 1 other has none, and shows its own"
    assert said in describe(open_dataset(path), "refine")
    data = with_parts(folder("part_1.png", defects=("bad.png",)), r"part_(\d+)")
    assert "no labelled defect has a part by --groups, so each shows its own" in describe(data, "refine")
    assert not any("part" in said for said in describe(folder("1.png", defects=("bad.png",)), "refine"))
