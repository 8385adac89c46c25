import csv
from pathlib import Path

import numpy as np
import pytest

from anomaly.data import Sample
from benchmarks.small_sets import SHARES, Case, Images, _cases, _images, _write_manifest, to_page


def samples(word: str, n: int) -> list[Sample]:
    pixels = np.zeros((2, 2), np.uint8)
    return [Sample(f"{word}/{index}", "train", "normal", kind="", pixels=pixels) for index in range(n)]


IMAGES = Images(samples("normal", 200), samples("hidden", 20), samples("test", 3))


def paths(case: Case) -> set[str]:
    return {sample.path for sample in IMAGES.training(case)}


def test_what_has_fewer_images_is_part_of_what_has_more() -> None:
    few, many = (paths(Case("mnist", "8", num, 0.0)) for num in (50, 100))
    assert (len(few), len(many)) == (50, 100)
    assert few < many < paths(Case("mnist", "8", None, 0.0)) == {sample.path for sample in IMAGES.normals}


@pytest.mark.parametrize("share", SHARES)
def test_hidden_anomalies_take_the_place_of_normals(share: float) -> None:
    found = paths(Case("mnist", "8", None, share))
    assert len(found) == 200
    assert sum(path.startswith("hidden") for path in found) == round(share * 200)


def test_the_cases_are_the_numbers_there_are_images_for_and_the_shares_of_all() -> None:
    cases = [(case.num, case.share) for case in _cases("magnetic-tile", "", 762)]
    assert cases == [(50, 0), (100, 0), (300, 0), (None, 0), (None, 0.01), (None, 0.05), (None, 0.1)]


def test_few_images_are_moved_and_many_are_not() -> None:
    case = Case("mnist", "2", None, 0.0)
    moved = {num: "training.augment=true" in case.options(num, 1000) for num in (50, 999, 1000, 5958)}
    assert moved == {50: True, 999: True, 1000: False, 5958: False}
    assert Case("magnetic-tile", "", 50, 0.0).options(50, 70)[-4:] == ["--steps", "70", "--seed", "0"]


def test_anomalies_for_hiding_are_in_no_test(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    rows = [(f"n{index}.png", "normal", "train" if index < 40 else "test") for index in range(50)]
    rows += [(f"a{index}.png", "anomalous", "test") for index in range(30)]
    for name, *_ in rows:
        (tmp_path / name).touch()
    manifest.write_text("path,label,split\n" + "".join(",".join(row) + "\n" for row in rows))
    images = _images("magnetic-tile", str(manifest), "")
    assert (len(images.normals), len(images.hidden), len(images.test)) == (40, 4, 36)
    assert not {sample.path for sample in images.hidden} & {sample.path for sample in images.test}
    assert {sample.label for sample in images.hidden} == {"anomalous"}


def test_the_manifest_calls_all_training_images_normal_and_makes_files_of_pixels(tmp_path: Path) -> None:
    test = [Sample("mnist/test/0", "test", "anomalous", kind="", pixels=np.full((2, 2), 7, np.uint8))]
    manifest = _write_manifest(samples("hidden", 2), test, tmp_path / "case")
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["split"]) for row in rows] == [("normal", "train")] * 2 + [("anomalous", "test")]
    assert all(Path(row["path"]).exists() for row in rows)


def test_the_page_has_a_table_of_numbers_and_one_of_shares() -> None:
    def row(num: int | None, share: float, auroc: float) -> dict[str, object]:
        baselines = {"pca": 0.5, "knn": 0.6}
        own = {"set": "mnist", "normal": "8", "num": num, "share": share}
        return own | {"method": "bigan", "auroc": auroc, "baselines": baselines}

    page = to_page([row(50, 0.0, 0.7), row(None, 0.0, 0.9), row(None, 0.05, 0.8)])
    assert "| normal | method | 50 | all |" in page
    assert "| mnist 8 | **BiGAN** | 70.0 | 90.0 |" in page
    assert "| normal | method | 0% | 5% |" in page
    assert "| mnist 8 | **BiGAN** | 90.0 | 80.0 |" in page
    assert "| mnist 8 | 3-NN | 60.0 | 60.0 |" in page
