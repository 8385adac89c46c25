"""Folders as they are: each form, layout and leftover to what train and evaluate take of it, or to its refusal."""

from collections import Counter
from pathlib import Path

import pytest

from anomaly.counted import counted
from anomaly.data import Dataset, open_dataset
from anomaly.errors import DataError
from tests.cli.calls import call
from tests.field.folder_cases import REFUSALS, TAKEN, Refused, Taken
from tests.field.folders import make
from tests.field.rows import Row

ROWS: tuple[Row, ...] = (*(case.row for case in TAKEN), *(case.row for case in REFUSALS))


def split_of(data: Dataset) -> tuple[int, tuple[int, int] | None]:
    """What train and evaluate take."""
    try:
        labels = Counter(sample.label for sample in data.test())
    except DataError:
        return len(data.known_normals()), None
    return len(data.known_normals()), (labels["normal"], labels["anomalous"])


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.row.what)
def test_what_is_taken_and_what_is_left_out(tmp_path: Path, case: Taken) -> None:
    root = make(tmp_path / "d", case.files) / case.root
    data = open_dataset(str(root), normal=case.normal)
    assert data.form == case.form
    assert split_of(data) == (case.train, case.test)
    assert sum(bool(sample.masks) for sample in data.samples if sample.label == "anomalous") == case.masks
    assert Counter(file.why for file in data.left_out) == case.left_out


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.row.what)
def test_every_file_is_an_image_a_mask_or_left_out(tmp_path: Path, case: Taken) -> None:
    """None is lost without a word, and none has two parts."""
    root = make(tmp_path / "d", case.files) / case.root
    data = open_dataset(str(root), normal=case.normal)
    images = [sample.path for sample in data.samples]
    masks = [str(mask) for sample in data.samples for mask in sample.masks]
    there = [str(path) for path in root.rglob("*") if path.is_file()]
    assert sorted([*images, *masks, *(file.path for file in data.left_out)]) == sorted(there)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.row.what)
def test_what_cannot_be_meant_is_refused_with_what_to_do(tmp_path: Path, case: Refused) -> None:
    root = make(tmp_path / "d", case.files)
    with pytest.raises(DataError, match=case.said.replace("ROOT", str(root))):
        open_dataset(str(root), normal=case.normal)


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.row.what)
def test_data_says_it(tmp_path: Path, case: Taken) -> None:
    root = make(tmp_path / "d", case.files) / case.root
    normal = ("--normal", ",".join(case.normal)) if case.normal else ()
    result = call("data", root, *normal)
    assert (result.exit_code, result.stderr) == (0, "")
    train = f"train takes {f'{case.train} normal' if case.train else 'nothing'};"
    test = "nothing" if case.test is None else f"{case.test[0]} normal, {case.test[1]} anomalous"
    assert f"{train} evaluate takes {test}" in result.stdout
    for why, number in case.left_out.items():
        assert f"left out: {counted(number, why.of_one, why.value)}, such as {root}" in result.stdout
    assert result.stdout.count("left out: ") == len(case.left_out)
