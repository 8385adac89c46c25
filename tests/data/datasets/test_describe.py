"""What a data set was taken for, in sentences."""

from dataclasses import replace
from pathlib import Path

import pytest

from anomaly.data import Dataset, Label, LeftOut, Sample, Split, Why, describe, left_out_sentences


def samples(*rows: tuple[int, Split | None, Label | None, str]) -> tuple[Sample, ...]:
    return tuple(
        Sample(f"{kind}/{split}/{i}", split, label, kind) for number, split, label, kind in rows for i in range(number)
    )


def test_a_tree_with_masks_and_leftovers() -> None:
    mask = Sample("cut/x", "test", "anomalous", "cut", masks=(Path("m.png"),))
    data = Dataset(
        "d",
        "mvtec",
        (
            *samples((1234, "train", "normal", "good"), (8, "test", "normal", "good"), (3, "test", "anomalous", "cut")),
            mask,
        ),
        (LeftOut("d/.a", Why.HIDDEN), LeftOut("d/b.txt", Why.NO_IMAGE), LeftOut("d/.c", Why.HIDDEN)),
    )
    assert describe(data) == [
        "d: a tree in MVTec's layout: 1,242 normal, 4 anomalous (1 with masks)",
        "train: 1,234 normal in good",
        "test: 8 normal in good, 4 anomalous in cut",
        "train takes 1,234 normal; evaluate takes 8 normal, 4 anomalous (1 with masks)",
        "left out: 2 hidden or system files, such as d/.a",
        "left out: 1 file that is no image, such as d/b.txt",
    ]


def test_a_folder_of_normals_has_no_classes_to_tell() -> None:
    nothing = "nothing: it needs normal and anomalous images that are not trained on"
    assert describe(Dataset("d", "folder", samples((30, None, "normal", "")))) == [
        "d: a folder of images: 30 normal",
        f"train takes 30 normal; evaluate takes {nothing}",
    ]


@pytest.mark.parametrize("verb", ["", "calibrate"])
def test_without_splits_it_is_said_that_each_fifth_normal_is_kept_for_evaluate(verb: str) -> None:
    data = Dataset("d", "classes", samples((6, None, "normal", "good"), (6, None, "anomalous", "scratch")))
    takes, held_out = describe(data, verb)[-2:]
    assert takes.startswith(f"{verb or 'train'} takes 4 normal")
    assert held_out.startswith("there are no splits, so each fifth normal image is kept for evaluate alone; ")
    parts = replace(data, parts={sample.path: sample.path for sample in data.samples})
    assert any("each fifth part is kept" in line for line in describe(parts, verb))


def test_a_test_split_alone() -> None:
    data = Dataset("d", "classes", samples((8, "test", "normal", "ok"), (3, "test", "anomalous", "ko")))
    assert describe(data)[-1] == "train takes nothing; evaluate takes 8 normal, 3 anomalous"
    assert describe(data, "calibrate")[-1] == "calibrate takes nothing"


def test_of_many_classes_the_first_are_named_the_normal_ones_before_all() -> None:
    rows: list[tuple[int, Split | None, Label | None, str]] = [(5, None, "anomalous", f"{i}") for i in range(10)]
    data = Dataset("d", "classes", samples(*rows, (10, None, "normal", "z"), (1, None, None, "")))
    assert describe(data)[:2] == [
        "d: a folder per class: 10 normal, 50 anomalous, 1 without a label",
        "classes: 10 normal in z, 5 anomalous in 0, 5 anomalous in 1, 5 anomalous in 2, 5 anomalous in 3, "
        "5 anomalous in 4, 5 anomalous in 5, 5 anomalous in 6 and 4 more classes",
    ]


def test_nothing_left_out_is_nothing_to_say() -> None:
    assert left_out_sentences([]) == []


def test_parts_that_are_in_both_splits_are_told() -> None:
    data = Dataset("d", "manifest", samples((6, "train", "normal", "ok"), (6, "test", "normal", "ok")))
    both = replace(data, parts={sample.path: str(row % 4) for row, sample in enumerate(data.samples)})
    for verb in ("", "calibrate"):
        told = describe(both, verb)[-1]
        assert told.startswith(
            "4 parts are in train and in test (0, 1, 2 …): their test pictures do not show new parts"
        )
    one = replace(data, parts={sample.path: str(row // 6) for row, sample in enumerate(data.samples)})
    assert not any("in test" in line for line in describe(one))
    parts = {sample.path: str(row % 11) for row, sample in enumerate(data.samples)}
    assert (
        "1 part is in train and in test (0): its test pictures do not show a new part"
        in describe(replace(data, parts=parts))[-1]
    )


def test_the_part_of_an_anomaly_and_parts_that_are_held_out_are_in_no_two_splits() -> None:
    data = Dataset("d", "classes", samples((10, None, "normal", "good"), (6, None, "anomalous", "cut")))
    grouped = replace(data, parts={sample.path: "1" for sample in data.samples if sample.label == "normal"})
    assert not any("in test" in line for line in describe(grouped))
    split = samples((3, "train", "normal", "good"), (3, "test", "anomalous", "cut"))
    anomalies = tuple(replace(sample, group="1") for sample in split)
    parts = {sample.path: "1" for sample in split if sample.label == "normal"}
    assert not any("in test" in line for line in describe(replace(data, samples=anomalies, parts=parts)))
