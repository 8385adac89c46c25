"""The benchmark of parts: what is run on which set, what rows hold, and what the page says of them."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anomaly.cli import app
from anomaly.data import open_dataset
from benchmarks import parts
from benchmarks.part_sets import FEW, OTHER_DRAWS, SETS, Prepared, prepare_set
from benchmarks.parts_tables import false_alarm_interval, shortfalls, to_page
from benchmarks.rows import Row

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells of ELPV: 100 normal and 5 anomalous ones, which are brighter."""
    folder = tmp_path_factory.mktemp("data")
    images = folder / "elpv-mono" / "images"
    images.mkdir(parents=True)
    rng, lines = np.random.default_rng(0), ["image,defect_probability"]
    for number in range(105):
        pixels = rng.integers(90, 110, (70, 80), dtype=np.uint8) + np.uint8(0 if number < 100 else 80)
        Image.fromarray(pixels).save(images / f"{number:03d}.png")
        lines.append(f"images/{number:03d}.png,{0.0 if number < 100 else 1.0}")
    (folder / "elpv-mono" / "labels.csv").write_text("\n".join(lines))
    return folder


def test_few_normals_train_and_the_test_is_whole(data: Path, tmp_path: Path) -> None:
    whole, few = (open_dataset(prepare_set(name, data, tmp_path).data) for name in ("elpv", "elpv-50"))
    assert (len(whole.train_normals()), len(few.train_normals())) == (80, FEW)
    assert {each.path for each in few.train_normals()} < {each.path for each in whole.train_normals()}
    assert {each.path for each in few.test()} == {each.path for each in whole.test()}
    again = open_dataset(prepare_set("elpv-50", data, tmp_path / "again").data)
    assert [each.path for each in few.samples] == [each.path for each in again.samples]


def test_a_baseline_has_no_seed_and_needs_the_set_that_it_is_for() -> None:
    methods = ["pca", "patchcore-whole", "registration", "surfaces"]
    assert parts.runs("elpv", methods, [0, 1]) == [("pca", 0), ("surfaces", 0), ("surfaces", 1)]
    assert parts.runs("mosaics", methods, [3]) == [("pca", 0), ("patchcore-whole", 0), ("surfaces", 3)]
    assert ("registration", 0) in parts.runs("boards", methods, [3])


@pytest.mark.parametrize("method", ["pca", "knn"])
def test_a_baseline_is_measured_on_the_test_split(method: str, data: Path, tmp_path: Path) -> None:
    row = parts.measure_baseline("elpv", method, prepare_set("elpv", data, tmp_path), tmp_path)
    assert (row["num_train"], row["num_normal"], row["num_anomalous"], row["auroc"]) == (80, 20, 5, 1.0)
    assert "fpr_at_threshold" not in row


def test_the_power_is_of_a_threshold_set_on_other_normals(data: Path, tmp_path: Path) -> None:
    source = prepare_set("elpv", data, tmp_path).data
    held_out = tmp_path / "calibrate"
    held_out.mkdir()
    rng = np.random.default_rng(1)
    for number in range(99):
        Image.fromarray(rng.integers(90, 110, (70, 80), dtype=np.uint8)).save(held_out / f"{number}.png")
    row = parts.measure_baseline("mosaics", "pca", Prepared(source, str(held_out)), tmp_path)
    assert (row["num_calibration"], row["alpha"], row["tpr_at_threshold"]) == (99, 0.01, 1.0)
    assert row["fpr_at_threshold"] <= 0.1
    json.dumps(row)


def test_ours_is_calibrated_where_the_set_has_normals_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []

    def run(*arguments: str) -> None:
        calls.append(arguments)
        if arguments[0] == "evaluate":
            report = Path(arguments[arguments.index("--out") + 1])
            report.mkdir(parents=True)
            metrics = {"model": "m", "method": "bigan", "auroc": 0.9, "seed": 3, "tpr_at_threshold": 0.5}
            (report / "metrics.json").write_text(json.dumps(metrics))

    monkeypatch.setattr(parts, "_anomaly", run)
    row = parts.measure_ours("mosaics", "parts", 3, Prepared("tree", "normals"), tmp_path, 10)
    assert [call[0] for call in calls] == ["train", "calibrate", "evaluate"]
    assert calls[1][2] == "normals"
    assert calls[2][calls[2].index("--alpha") + 1] == "0.01"
    assert row["command"] == "anomaly train mosaics --recipe large-parts --max-minutes 10 --seed 3"
    assert row["tpr_at_threshold"] == 0.5
    assert "method" not in row  # that is the recipe's name, not the recipe's training.method
    calls.clear()
    parts.measure_ours("bottle", "surfaces", 0, Prepared("tree"), tmp_path, 10)
    assert [call[0] for call in calls] == ["train", "evaluate"]
    assert "--alpha" not in calls[1]


@pytest.mark.parametrize("name", SETS)
def test_options_from_scratch_are_those_that_the_program_takes(name: str) -> None:
    options = ["--recipe", "surfaces", "--max-minutes", "10", "--seed", "1", *SETS[name].more.split()]
    result = CliRunner().invoke(app, ["train", "digits", "--normal", "0", *options, "--out", "x", "--device", "none"])
    assert "unknown device 'none'" in result.output


def test_the_leading_set_is_of_tiles_held_out_whole() -> None:
    assert next(iter(SETS)) == "tiles-apart"


def row_of(name: str, method: str, seed: int = 0, **figures: Any) -> Row:
    own: Row = {"set": name, "method": method, "seed": seed, "machine": "a machine", "threads": 1}
    if method in parts.OURS:
        own |= {"command": f"anomaly train {name} --recipe {method}", "train_s": 60.0, "is_resumed": False}
    return own | figures


ROWS = [
    row_of("tiles-apart", "pca", auroc=0.565),
    row_of("tiles-apart", "patchcore", auroc=0.83, pixel_auroc=0.81, aupro=0.7),
    row_of("tiles-apart", "parts", 0, auroc=0.90, pixel_auroc=0.80, aupro=0.75),
    row_of("tiles-apart", "parts", 1, auroc=0.92, pixel_auroc=0.80, aupro=0.75),
    row_of("mosaics", "patchcore-whole", auroc=0.7, tpr_at_threshold=0.4, fpr_at_threshold=0.02, alpha=0.01)
    | {"num_calibration": 120, "num_normal": 100},
    row_of("bottle", "surfaces", auroc=0.95),
]


def test_the_page_has_figures_with_their_deviation_and_tells_the_leak() -> None:
    page = to_page(ROWS)
    held_out = next(line for line in page.splitlines() if line.startswith("| Magnetic tiles, whole tiles held out"))
    assert "**91.0** ± 1.4 / 80.0 / 75.0 | 83.0 / 81.0 / 70.0 |" in held_out
    assert held_out.endswith("| 56.5 | – | – |")  # PCA, no 3-NN yet, nothing published
    assert "| 40.0 (2.0) |" in page
    assert page.count("leak") == 1
    assert "The first row's: `anomaly train tiles-apart --recipe parts --out MODEL`, in 60 s on a machine" in page
    assert page.index("## With pretrained features") < page.index("## From scratch")


def test_the_page_says_where_ours_does_not_beat_the_untrained_evidence() -> None:
    told = shortfalls(ROWS)
    assert told[0] == "- Magnetic tiles, whole tiles held out: pixel AUROC 80.0, untrained evidence 81.0."
    assert len(told) == 2
    assert "Not measured" in told[1]
    better = [row_of("bottle", "parts", auroc=1.0), row_of("bottle", "patchcore", auroc=0.9)]
    assert shortfalls(better)[0] == "- Nowhere among the sets that are measured."
    equal = [row_of("bottle", "parts", auroc=0.9), row_of("bottle", "patchcore", auroc=0.9)]
    assert "90.0" in shortfalls(equal)[0]


def test_the_interval_of_false_alarms_widens_with_fewer_normals() -> None:
    low, high = false_alarm_interval(0.05, 999, 1000)
    assert low < 0.05 < high
    assert false_alarm_interval(0.05, 99, 100)[1] > high
    assert false_alarm_interval(0.01, 50, 100) == (0.0, 0.0)


def test_rows_that_are_there_are_not_measured_again(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "rows.jsonl"
    command = [
        "--data",
        str(data),
        "--models",
        str(tmp_path),
        "--results",
        str(results),
        "--sets",
        "elpv",
        "--only",
        "pca",
    ]
    parts.main(command)
    parts.main(command)
    assert len(results.read_text().splitlines()) == 1
    parts.main(["--results", str(results), "--write", str(tmp_path / "page.md")])
    assert "| ELPV, mono-crystalline cells |" in (tmp_path / "page.md").read_text()
    with pytest.raises(SystemExit, match="2"):
        parts.main([*command[:-1], "pca,unknown"])
    assert "there is no unknown" in capsys.readouterr().err


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 tiles, a picture each, and two with a crack and its mask."""
    folder = tmp_path_factory.mktemp("tiles")
    for kind, num in (("MT_Free", 80), ("MT_Crack", 2)):
        for number in range(num):
            file = folder / "magnetic-tile" / kind / "Imgs" / f"exp1_num_{1000 * number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), number).save(file)
            if kind != "MT_Free":
                Image.new("L", (8, 8), 255).save(file.with_suffix(".png"))
    return folder


def test_manifests_keep_masks(tiles: Path, tmp_path: Path) -> None:
    with Path(prepare_set("tiles-50", tiles, tmp_path).data).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    masks = [row["mask"] for row in rows if row["label"] == "anomalous"]
    assert len(masks) == 2
    assert all(Path(mask).exists() for mask in masks)


def test_each_draw_holds_out_other_tiles(tiles: Path, tmp_path: Path) -> None:
    draws = [open_dataset(prepare_set(name, tiles, tmp_path).data) for name in ("tiles-apart", *OTHER_DRAWS)]
    normals = [{Path(each.path).name for each in draw.test() if each.label == "normal"} for draw in draws]
    assert len({frozenset(names) for names in normals}) == len(draws) == 5
    assert {len(names) for names in normals} == {16}
    again = open_dataset(prepare_set("tiles-apart", tiles, tmp_path).data)
    assert {Path(each.path).name for each in again.test() if each.label == "normal"} == normals[0]


def test_the_page_has_the_mean_over_draws_of_one_training_each() -> None:
    page = to_page([*ROWS, row_of("tiles-apart-1", "parts", auroc=0.84), row_of("tiles-apart-1", "pca", auroc=0.585)])
    assert "| 0 | **90.0** / 80.0 / 75.0 | – | – | 56.5 | – |" in page
    assert "| 1 | **84.0** | – | – | 58.5 | – |" in page
    assert "| mean ± deviation | **87.0** ± 4.2 / 80.0 / 75.0 | – | – | 57.5 ± 1.4 | – |" in page
    assert "other tiles held out" not in to_page(ROWS)


def figures_of_parts(page: str, columns: Sequence[str]) -> dict[str, list[str]]:
    """The named columns of the first table of a page that has `parts` as a column, by data set."""
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in (ROOT / page).read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if "`parts`" in cells and cells[0] == "data":
            names = cells
        elif names and not line.startswith("|"):
            return found
        elif names and not cells[0].startswith("--"):
            found[cells[0]] = [cells[names.index(column)] for column in columns]
    raise AssertionError(f"{page} has no such table")


def test_the_figures_in_the_readme_are_those_of_the_page() -> None:
    columns = ("`parts`", "PatchCore's evidence", "PCA")
    of_readme, of_page = (figures_of_parts(page, columns) for page in ("README.md", "docs/parts.md"))
    assert len(of_readme) >= 5
    assert of_readme.items() <= of_page.items()
