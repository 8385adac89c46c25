"""CSV manifests."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data import open_dataset
from anomaly.errors import DataError


def manifest(folder: Path, text: str, encoding: str = "utf-8") -> str:
    """With the files that lines of the tests name: a.png to f.png, ä.png and c,d.png; they are empty."""
    for name in (*"abcdef", "ä", "c,d"):
        (folder / f"{name}.png").touch()
    path = folder / "list.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


def test_all_columns(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "m.png"):
        Image.fromarray(np.full((2, 3), 255, np.uint8)).save(tmp_path / name)
    text = (
        f'path,label,split,mask\na.png,normal,train,\n{tmp_path}/b.png,anomalous,test,m.png\n\n"c,d.png",normal,test,\n'
    )
    data = open_dataset(manifest(tmp_path, text))
    assert data.form == "manifest"
    assert [(s.path, s.split, s.label, s.kind) for s in data.samples] == [
        (str(tmp_path / "a.png"), "train", "normal", ""),
        (str(tmp_path / "b.png"), "test", "anomalous", ""),
        (str(tmp_path / "c,d.png"), "test", "normal", ""),
    ]
    masks = [sample.open_mask() for sample in data.samples[:2]]
    assert [mask is not None and bool(mask.all()) for mask in masks] == [False, True]
    assert masks[0] is not None


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_path_and_label_suffice_in_any_order(tmp_path: Path, newline: str, encoding: str) -> None:
    path = manifest(tmp_path, newline.join(["label,path", "normal,ä.png", "anomalous,b.png"]), encoding)
    samples = open_dataset(path).samples
    assert [(s.path, s.label, s.split) for s in samples] == [
        (str(tmp_path / "ä.png"), "normal", None),
        (str(tmp_path / "b.png"), "anomalous", None),
    ]
    assert [sample.open_mask() for sample in samples] == [None, None]


def test_splits_may_be_empty_everywhere(tmp_path: Path) -> None:
    data = open_dataset(manifest(tmp_path, "path,label,split\na.png,normal,\nb.png,anomalous,\n"))
    assert [sample.split for sample in data.samples] == [None, None]


def test_empty_cells_at_the_end_of_a_line_may_be_left_away(tmp_path: Path) -> None:
    """As spreadsheets do, from the 17th line on."""
    for name in ("a.png", "b.png", "m.png"):
        Image.fromarray(np.full((2, 3), 255, np.uint8)).save(tmp_path / name)
    lines = [
        "path,label,split,mask,kind,group",
        "a.png,normal,train",
        "b.png,anomalous,test,m.png",
        "c.png,normal,test,,",
    ]
    whole = open_dataset(manifest(tmp_path, "\n".join(line + "," * (5 - line.count(",")) for line in lines)))
    short = open_dataset(manifest(tmp_path, "\n".join(lines)))
    assert short.samples == whole.samples
    assert [sample.split for sample in short.samples] == ["train", "test", "test"]
    assert len(short.samples[1].masks) == 1
    with pytest.raises(DataError, match=r"line 2: the split is ''; expected train or test"):
        open_dataset(manifest(tmp_path, "path,label,split\na.png,normal\nb.png,normal,train"))
    with pytest.raises(DataError, match="line 2: has 2 fields; expected 3"):
        open_dataset(manifest(tmp_path, "path,split,label\na.png,train\n"))


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    lines = [
        "path,label,split",
        "a.png,good,train",
        "b.png",
        ",normal,train",
        "c.png,normal,train",
        "d.png,normal,",
    ]
    path = manifest(tmp_path, "\n".join([*lines, "", "e.png,normal,val", "f.png,normal,train,x"]))
    with pytest.raises(DataError) as caught:
        open_dataset(path)
    assert str(caught.value).splitlines() == [
        f"{path}: 6 bad lines; correct or remove them",
        "  line 2: the label is 'good'; expected normal or anomalous",
        "  line 3: has 1 field; expected 3",
        "  line 4: the path is empty",
        "  line 6: the split is ''; expected train or test (or nothing in all lines)",
        "  line 8: the split is 'val'; expected train or test (or nothing in all lines): training holds images out by "
        "itself, so call these train, or remove their lines",
        "  line 9: has 4 fields; expected 3",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1 names the columns \(none\); expected path,label"),
        ("path,split\na,train\n", "line 1 names the columns path,split; expected"),
        ("path,label,path\na,normal,b\n", "line 1 names the column path twice"),
        ("path|label\na|normal\n", r"line 1 names the columns path\|label; expected .* commas, semicolons, tabs"),
        ("sep=|\npath|label\na|normal\n", r"line 1 says that '\|' separates the fields; expected one of commas"),
        ("path,label,masks\na,normal,b\n", "no column mask but one called masks; call it mask"),
        ("path,label\n\n", "lists no images"),
        ('path,label\na,"normal\n', "line 2 is not CSV"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(manifest(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "num_missing"), [("a.png,b.png,x.png", 1), ("a.png,x.png", None), ("x.png,y.png", None)]
)
def test_files_that_are_not_there_are_said_at_once(tmp_path: Path, text: str, num_missing: int | None) -> None:
    """Fewer than half are told and cost their own rows; of half or more the paths cannot be meant."""
    names = text.split(",")
    path = manifest(tmp_path, "\n".join(["path,label", *(f"{name},normal" for name in names)]))
    if num_missing is None:
        with pytest.raises(DataError, match=rf"{sum('abc'.find(n[0]) < 0 for n in names)} of 2 images .* do not exist"):
            open_dataset(path)
    else:
        data = open_dataset(path)
        assert data.notes == (f"1 of 3 images that it lists do not exist: {tmp_path}/x.png",)
        assert len(data.samples) == 3


def test_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read .*expected a CSV file in UTF-8"):
        open_dataset(manifest(tmp_path, "path,label\nä.png,normal\n", "latin-1"))


def test_normal_has_no_meaning_for_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--normal a,b has no meaning here, because the label column"):
        open_dataset(manifest(tmp_path, "path,label\na.png,normal\n"), normal=["a", "b"])


@pytest.mark.parametrize("line", ["sub,normal,", "a.png,anomalous,sub"])
def test_a_folder_is_no_image_and_no_mask(tmp_path: Path, line: str) -> None:
    (tmp_path / "sub").mkdir()
    what = "mask" if line.endswith("sub") else "path"
    with pytest.raises(DataError, match=f"line 2: the {what} {tmp_path / 'sub'} is a folder; expected an image file"):
        open_dataset(manifest(tmp_path, f"path,label,mask\n{line}\nb.png,normal,\n"))


def test_what_is_wrong_with_many_lines_is_said_once(tmp_path: Path) -> None:
    lines = [f"a.png,{'malignant' if number % 4 == 3 else 'benign'}" for number in range(20_000)]
    path = manifest(tmp_path, "\n".join(["path,label", *lines]))
    with pytest.raises(DataError) as caught:
        open_dataset(path)
    assert str(caught.value).splitlines() == [
        f"{path}: 20,000 bad lines; correct or remove them",
        "  line 2: the label is 'benign'; expected normal or anomalous (as in 14,999 more lines)",
        "  line 5: the label is 'malignant'; expected normal or anomalous (as in 4,999 more lines)",
    ]


def test_bad_lines_of_many_kinds_are_counted_behind_the_first(tmp_path: Path) -> None:
    path = manifest(tmp_path, "\n".join(["path,label", *(f"a.png,kind {number}" for number in range(1_000))]))
    with pytest.raises(DataError) as caught:
        open_dataset(path)
    told = str(caught.value).splitlines()
    assert told[1] == "  line 2: the label is 'kind 0'; expected normal or anomalous"
    assert told[10:] == ["  line 11: the label is 'kind 9'; expected normal or anomalous", "  and 990 more lines"]
