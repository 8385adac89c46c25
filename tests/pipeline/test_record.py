"""What a bundle records of its normals, in sentences."""

from typing import Any

import pytest

from anomaly.bundle import DataRecord
from anomaly.pipeline.record import groups_forgotten, identity, parts_unknown, sets_sentences


def record(**changes: Any) -> DataRecord:
    counts = {"num_train": 60, "num_select": 15, "num_calibrate": 25, "num_left_out": 0}
    given = {"source": "d", "form": "folder", "normal": [], "fingerprint": "x", "calibration_fingerprint": "x"}
    return DataRecord.model_validate({**given, **counts, **changes})


PARTS = {"groups": "group", "calibration_groups": "group", "num_train_parts": 20, "num_select_parts": 5}


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({}, ["normal images: 60 to train, 15 to select, 25 to calibrate"]),
        (
            {"num_report": 10, "num_copies": 5},
            [
                "normal images: 60 to train, 15 to select, 25 to calibrate, 10 to report on",
                "115 images, 110 distinct; 5 exact copies left out",
            ],
        ),
        (
            {**PARTS, "num_unused": 40, "num_copies": 1},
            [
                "normal images: 60 to train, 15 to select, 25 to calibrate",
                "parts, by --groups group: 20 to train, 5 to select, 25 to calibrate; p-values and false-alarm rates "
                "are for pictures of new parts",
                "40 images are used for nothing: of each part to calibrate, one picture counts",
                "141 images, 140 distinct; 1 exact copy left out",
            ],
        ),
    ],
)
def test_the_sets_are_told(changes: dict[str, Any], sentences: list[str]) -> None:
    assert sets_sentences(record(**changes)) == sentences


def test_a_run_is_that_of_its_images_and_parts() -> None:
    told = [identity(record(), None), *(identity(record(), parts) for parts in (["a", "b"], ["ab", ""], ["a", "a"]))]
    assert told[0] == "x"
    assert len(set(told)) == 4


def test_a_model_of_parts_is_not_measured_on_pictures_unawares() -> None:
    told = groups_forgotten(record(**PARTS), "")
    assert told is not None
    assert "calibrated with --groups group" in told
    assert groups_forgotten(record(**PARTS), r"(\d+)_") is None
    assert groups_forgotten(record(), "") is None


@pytest.mark.parametrize(
    ("trained", "calibrated", "lacks_parts", "told"),
    [
        ("a", "a", False, None),
        ("a", "a", True, "made by a version of anomaly that did not keep the names of its parts. A part that"),
        ("b", "b", False, "this model was trained with --groups b; --groups is a here"),
        ("", "a", True, "this model was trained without --groups and calibrated with --groups a; --groups is a here"),
        ("a", "", False, "this model was trained with --groups a and calibrated without --groups; --groups is a here"),
        ("a", "", False, "or calibrate again with this --groups"),
        ("a", "", True, "or train again with this --groups"),
    ],
)
def test_parts_that_cannot_be_known_by_name_are_said(
    trained: str, calibrated: str, told: str | None, *, lacks_parts: bool
) -> None:
    sentence = parts_unknown(trained, calibrated, "a", lacks_parts=lacks_parts)
    assert sentence is None if told is None else told in (sentence or "")
