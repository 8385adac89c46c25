import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import peers
from benchmarks.peer_environments import OURS, PEERS, SCRIPTS, TITLES, PeerError, score_command, train_command
from benchmarks.peer_images import SETS
from benchmarks.peer_tables import to_page, to_tables, why, worse
from benchmarks.rows import read_rows
from tests.cli.calls import command_of

PAGE = Path(__file__).parents[2] / "docs" / "peers.md"


def row(detector: str, **more: Any) -> dict[str, Any]:
    return {
        "set": "mnist-8",
        "detector": detector,
        "auroc": 0.9,
        "auroc_ci95": [0.89, 0.91],
        "train_s": 100.0,
        "first_score_s": 2.0,
        "images_per_s": 1000.0,
        "train_mb": 500.0,
        "score_mb": 400.0,
        "minutes": 10,
        "num_images": 10_000,
        "machine": "a processor, 2 cores",
    } | more


def test_a_ratio_above_one_is_better_for_ours_in_every_column() -> None:
    peer = row("pca", auroc=0.8, train_s=50.0, first_score_s=4.0, images_per_s=250.0, train_mb=250.0, score_mb=800.0)
    page = to_tables([row(OURS), peer])
    assert "10,000 test images; ours by `anomaly train DATA --recipe digits --max-minutes 10`." in page
    assert "| PCA, 50 components (scikit-learn) | +10.0 | 0.50 | 2.00 | 4.00 | 0.50 | 2.00 |" in page
    assert worse([row(OURS), peer]) == [("pca", "train_s", 0.5), ("pca", "train_mb", 0.5)]


def test_where_ours_is_not_better_the_page_says_why() -> None:
    page = to_tables([row(OURS), row("pyod-alad", train_s=1.0)])
    assert f"- ALAD (PyOD), training, s (0.01): {why('pyod-alad', 'train_s')}." in page
    assert why("pyod-alad-longer", "images_per_s") == why("pyod-alad", "images_per_s") != why("ours", "images_per_s")


def test_a_peer_without_figures_says_why_and_has_no_ratios() -> None:
    page = to_tables(
        [row(OURS), {"set": "mnist-8", "detector": "pca", "error": "pip cannot install it: no such thing."}]
    )
    assert "- PCA, 50 components (scikit-learn) has no figures: pip cannot install it: no such thing.\n" in page
    assert "| PCA, 50 components (scikit-learn) | – | – | – | – | – | – | – | – |" in page
    assert "How many times" not in page


def test_peers_without_ours_have_no_ratios() -> None:
    assert "How many times" not in to_tables([row("pca"), row("pyod-alad")])


def test_the_page_is_that_of_the_rows_there_are_and_leaves_nothing_unexplained() -> None:
    rows = read_rows(peers.RESULTS)
    assert PAGE.read_text("utf-8") == to_page(rows)
    for name in SETS:
        own = [each for each in rows if each["set"] == name]
        assert {each["detector"] for each in own} in ({*TITLES}, set())
        assert [each for each in worse(own) if why(each[0], each[1]) == "not explained yet"] == []


def test_a_row_measured_again_replaces_its_own_alone(tmp_path: Path) -> None:
    results = tmp_path / "new" / "rows.jsonl"
    for each in (row(OURS), row("pca"), row(OURS, auroc=0.95), row(OURS, set="tiles")):
        peers.replace_row(results, each)
    assert read_rows(results) == [row(OURS, auroc=0.95), row("pca"), row(OURS, set="tiles")]


def test_medians_are_over_rounds_and_memory_is_the_most_of_them() -> None:
    measured = {"first_s": [3.0, 1.0, 2.0], "folder_s": [10.0, 40.0, 20.0], "folder_mb": [100.0, 300.0, 200.0]}
    figures = peers.summarised(measured, 1000)
    assert (figures["first_score_s"], figures["images_per_s"], figures["score_mb"]) == (2.0, 50.0, 300.0)
    assert peers.summarised({"error": "no"}, 1000) == {"error": "no"}


def test_a_peer_that_fails_says_so_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_environment(name: str, cache: Path) -> dict[str, float]:
        if name == "pca":
            raise PeerError("pip cannot install it: no such thing")
        return {"environment_mb": 7}

    monkeypatch.setattr(peers, "make_environment", make_environment)
    monkeypatch.setattr(peers, "_run", lambda *_: {"seconds": 2.0, "peak_mb": 50.0})
    monkeypatch.setattr(peers, "_accuracy", lambda *_: {"auroc": 0.5, "auroc_ci95": [0.4, 0.6]})
    images = tmp_path / "images" / "mnist-8"
    (images / "test").mkdir(parents=True)
    (tmp_path / "models" / "mnist-8").mkdir(parents=True)
    for number in range(4):
        Image.new("L", (2, 2)).save(images / "test" / f"{number}.png")
    options = argparse.Namespace(minutes=1, quick=False)
    failed, measured = peers.measure("mnist-8", images, ["pca", "pyod-alad"], tmp_path, options)
    assert failed == {"set": "mnist-8", "detector": "pca", "error": "pip cannot install it: no such thing"}
    assert (measured["first_s"], measured["folder_s"]) == ([2.0] * 3, [2.0] * 3)
    assert (measured["images_per_s"], measured["environment_mb"], measured["train_s"]) == (2.0, 7, 2.0)


@pytest.mark.parametrize("name", SETS)
def test_our_commands_are_those_of_the_program(name: str, tmp_path: Path) -> None:
    _, *training = train_command(OURS, SETS[name], tmp_path, tmp_path / "model", 10, tmp_path)
    given = command_of(("train",)).make_context("train", training[1:]).params
    assert (given["recipe"], given["max_minutes"]) == (SETS[name].recipe, 10)
    _, *scoring = score_command(OURS, tmp_path, tmp_path, tmp_path / "scores.csv", tmp_path)
    assert command_of(("score",)).make_context("score", scoring[1:]).params["out_"] == tmp_path / "scores.csv"


@pytest.mark.parametrize("name", PEERS)
def test_each_peer_has_a_script_and_pinned_requirements(name: str) -> None:
    assert (SCRIPTS / PEERS[name].script).is_file()
    lines = (SCRIPTS / f"{PEERS[name].environment}.txt").read_text("utf-8").splitlines()
    assert all("==" in line for line in lines if not line.startswith("#"))


def test_what_a_command_takes_is_its_own_and_not_of_the_program_that_measures(tmp_path: Path) -> None:
    held = np.ones(400_000_000, np.uint8)  # what this process holds must not count
    figures = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-S",
        "-c",
        "import time; held = bytearray(b'1' * 100_000_000); time.sleep(0.2); raise SystemExit(3)",
    ]
    measured = [sys.executable, "-S", str(Path(peers.__file__).with_name("measured.py")), str(figures), "60", *command]
    assert subprocess.run(measured).returncode == 3
    told = json.loads(figures.read_text("utf-8"))
    assert told["seconds"] > 0.2
    assert 100 < told["peak_mb"] < 300 < held.nbytes / 1e6


def test_a_command_that_does_not_end_has_no_figures_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "LIMIT_MINUTES", 1 / 120)
    with pytest.raises(PeerError, match="its scoring took more than"):
        peers._run("scoring", [sys.executable, "-c", "import time; time.sleep(60)"])


def test_a_peers_script_trains_on_a_folder_and_scores_every_file_in_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "train").mkdir()
    for number in range(60):
        Image.fromarray(rng.integers(0, 30, (8, 8), dtype=np.uint8)).save(tmp_path / "train" / f"{number:02d}.png")
    (tmp_path / "test" / "odd").mkdir(parents=True)
    Image.fromarray(rng.integers(0, 30, (8, 8), dtype=np.uint8)).save(tmp_path / "test" / "normal.png")
    Image.fromarray(np.tile(np.array([0, 255], np.uint8), (8, 4))).save(tmp_path / "test" / "odd" / "stripes.png")
    script = [sys.executable, str(SCRIPTS / "pca.py")]
    train = [*script, "train", str(tmp_path / "train"), str(tmp_path / "model"), "--side", "8", "--minutes", "1"]
    subprocess.run(train, check=True)
    score = [*script, "score", str(tmp_path / "model"), str(tmp_path / "test"), str(tmp_path / "scores.csv")]
    subprocess.run(score, check=True, stdout=subprocess.DEVNULL)
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [Path(each["path"]).name for each in rows] == ["normal.png", "stripes.png"]
    assert float(rows[1]["score"]) > 10 * float(rows[0]["score"])
