"""What a bundle says of how small a defect it finds: in its manifest, in words and as a table."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from anomaly.bundle import load, save, unsaved
from anomaly.bundle.detectability import markdown_table, smallest_found, why_not_measured
from anomaly.bundle.layout import MANIFEST
from anomaly.inference import detector_of
from tests.bundle.copies import copy_of, sum_again
from tests.bundle.records import make_cell, make_record
from tests.digit_images import normals


def test_a_record_is_kept_and_the_card_tells_it(bigan_dir: Path, tmp_path: Path) -> None:
    contents, record = load(bigan_dir).contents, make_record()
    manifest = contents.manifest.model_copy(update={"detectability": record})
    bundle = save(replace(contents, manifest=manifest), tmp_path / "m")
    assert load(bundle.ref.path).manifest.detectability == record
    assert f"\n\n{' '.join(record.sentences())}\n\n" in bundle.card
    assert markdown_table(record) in bundle.card


def test_without_one_the_card_is_as_it_was(bigan_dir: Path) -> None:
    assert load(bigan_dir).manifest.detectability is None
    assert "How small" not in load(bigan_dir).card


def test_a_manifest_of_before_there_were_records_loads(bigan_dir: Path) -> None:
    with copy_of(bigan_dir / "1") as copied:
        stored = json.loads((copied / MANIFEST).read_text())
        del stored["detectability"]
        (copied / MANIFEST).write_text(json.dumps(stored))
        sum_again(copied)
        assert load(copied).manifest.detectability is None


def test_contents_that_are_not_saved_score_as_the_bundle_does(bigan_dir: Path, tmp_path: Path) -> None:
    bundle = load(bigan_dir)
    images = list(normals()[:5])
    early = detector_of(unsaved(bundle.contents, tmp_path / "m"), device="cpu")
    assert early.bundle.name == "m"
    assert early.score(images).score.tolist() == detector_of(bundle, device="cpu").score(images).score.tolist()
    assert not list(tmp_path.iterdir())


def test_the_first_sentence_is_of_the_smallest_that_is_found_in_nine_of_ten() -> None:
    assert make_record().sentences() == [
        "A dark scratch 2 pixels wide and 16 long of contrast 30% is found in 18 of 20 pictures (95% interval 70% to "
        "97%) at 1% false alarms.",
        "Of the largest and strongest of each kind, found most often: dark scratch 2 pixels wide and 16 long of "
        "contrast 30%, in 18 of 20 pictures (95% interval 70% to 97%). Least often: missing structure 16 pixels "
        "across, in 3 of 7 pictures (95% interval 16% to 75%).",
        "Measured by drawing defects into 20 normal pictures that were used for nothing else; 1 of them is called "
        "anomalous without a defect. Sizes are in pixels of the pictures as they are on disk.",
    ]


def test_of_several_kinds_the_most_and_the_least_found_are_told() -> None:
    kinds = {"dark scratch": 2, "bright spot": 19, "stripes": 11}
    cells = [make_cell(kind=kind, found=found) for kind, found in kinds.items()]
    weak = make_cell(kind="bright spot", found=1, contrast=0.1)
    told = make_record(cells=[*cells, weak]).sentences()
    assert told[0].startswith("No dark scratch")
    assert told[1].startswith("Of the largest and strongest of each kind, found most often: bright spot")
    assert ", in 19 of 20 pictures" in told[1]
    assert "Least often: dark scratch" in told[1]
    assert "in 2 of 20 pictures" in told[1]
    assert len(told) == 3


def most_and_least(found: dict[str, tuple[int, int]]) -> str:
    cells = [make_cell(kind=kind, found=found, shown=shown) for kind, (found, shown) in found.items()]
    return make_record(cells=cells).sentences()[1]


def test_kinds_that_are_found_equally_often_are_not_told_apart() -> None:
    assert most_and_least({"dark scratch": (20, 20), "dent": (7, 7)}) == (
        "The largest and strongest of each kind are found equally often, in 100% of pictures."
    )


def test_kinds_that_share_the_first_or_the_last_place_are_all_named() -> None:
    found = {
        "dark scratch": (20, 20),
        "dent": (1, 20),
        "stripes": (7, 7),
        "dark spot": (1, 20),
        "bright spot": (10, 10),
    }
    assert most_and_least(found) == (
        "Of the largest and strongest of each kind, found most often: dark scratch, stripes and bright spot, each in "
        "100% of pictures. Least often: dent and dark spot, each in 5% of pictures."
    )


def test_where_nothing_was_measured_the_reason_is_told() -> None:
    assert why_not_measured(0, 12, 0.05) == why_not_measured(6, 19, 0.05) == ""
    assert "with 12 calibration images. At least 19 are needed." in why_not_measured(6, 12, 0.05)


def test_where_none_is_found_often_enough_it_says_so() -> None:
    first, second = make_record(cells=[make_cell(found=17)], is_out_of_time=True).sentences()
    assert first == "No dark scratch of up to 16 pixels was found in 90% of the pictures at 1% false alarms."
    assert second.endswith("The time limit ended it early: there are fewer pictures than there could be.")


def test_it_does_not_say_that_none_is_found_where_only_a_longer_one_is_not() -> None:
    cells = [
        make_cell(length=length, found=k, shown=10) for length, k in zip((2, 4, 8, 16), (0, 10, 10, 8), strict=True)
    ]
    first = make_record(cells=cells).sentences()[0]
    assert first.startswith("A dark scratch 2 pixels wide and 4 long of contrast 30% is found in 10 of 10 pictures (")
    assert first.endswith(" at 1% false alarms, but not all longer ones are.")
    assert make_record(cells=cells, num_false_alarms=19).sentences()[0].startswith("At 1% false alarms it cannot be")


def test_alarms_that_need_no_defect_are_not_taken_for_finds() -> None:
    first, second = make_record(num_false_alarms=19).sentences()
    assert first.startswith("At 1% false alarms it cannot be told how small a defect is found")
    assert "19 of them are called anomalous without a defect" in second
    assert make_record(num_false_alarms=13).sentences()[0].startswith("A dark scratch 2 pixels wide")


@pytest.mark.parametrize(
    ("found", "smallest"),
    [([0, 9, 10, 10], 4), ([9, 0, 10, 10], 8), ([10, 10, 10, 8], None), ([9, 9, 9, 9], 2), ([0, 0, 0, 0], None)],
)
def test_smaller_ones_count_only_if_all_larger_ones_are_found(found: list[int], smallest: int | None) -> None:
    curve = [make_cell(length=length, found=k, shown=10) for length, k in zip((2, 4, 8, 16), found, strict=True)]
    cell = smallest_found(curve)
    assert (None if cell is None else cell.length) == smallest


def test_the_table_has_a_row_a_curve_and_a_column_a_length() -> None:
    assert markdown_table(make_record()).splitlines() == [
        "| defect, contrast | 8 px | 16 px |",
        "|---|---|---|",
        "| dark scratch, 30% | 4/20 (8–42) | 18/20 (70–97) |",
        "| dark scratch, 10% | 1/20 (1–24) | 2/20 (3–30) |",
        "| missing structure | – | 3/7 (16–75) |",
    ]


@pytest.mark.parametrize("wrong", [{"shown": 0, "found": 0}, {"found": -1}, {"width": 0}, {"high": 1.1}, {"more": 1}])
def test_what_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        make_cell(**wrong)
