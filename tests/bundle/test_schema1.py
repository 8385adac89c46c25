"""Bundles of schema 1 load and score as they did.

Those in `schema1/` were made at commit 66b0e31, the last that wrote schema 1, by `anomaly train digits --normal 0
--size 8 --width 4 --latent-dim 2 --steps 30 --batch-size 16` and what their names say; the discriminators beside the
game were narrowed, as here, so that their files are small. The JSON file beside a bundle has what that commit scored:
the last 20 of scikit-learn's digits, and two of their heatmaps.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from anomaly.bundle import SCHEMA_VERSION, Contents, NormalSet, load
from anomaly.bundle.layout import MANIFEST
from anomaly.config import Precision, SearchConfig
from anomaly.errors import CorruptBundleError, StorageError
from anomaly.inference import Detector, EngineName, load_detector
from anomaly.networks.auxiliary import memory_bank, patches, rotation
from anomaly.pipeline import upgrade
from anomaly.pipeline.upgrade import upgrade_bundle
from tests.bundle.copies import copy_of, refuse_writing, sum_again
from tests.digit_images import Pixels

FOLDER = Path(__file__).parent / "schema1"
NAMES = ("alad", "anogan", "bf16", "bigan", "f-anogan", "rotation", "synthetic-defects")
RENAMED = {"patch_peak": "synthetic_defects", "turn_doubt": "rotation"}
NARROW = 4
each_bundle = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discriminators beside the game as narrow as those of the files."""
    monkeypatch.setattr(patches, "WIDTH", NARROW)
    monkeypatch.setattr(patches, "_COARSE", (2 * NARROW, 3 * NARROW, 4 * NARROW, 4 * NARROW))
    monkeypatch.setattr(rotation, "WIDTH", NARROW)
    for module in (patches, memory_bank):
        monkeypatch.setattr(module, "NUM_FEATURES", 2 * NARROW)


def scored_then(name: str) -> dict[str, Any]:
    scored: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return scored


def digits_scored() -> list[Pixels]:
    return list(np.rint(load_digits().images[-20:] * (255 / 16)).astype(np.uint8))


def assert_scores_as_then(detector: Detector, name: str) -> None:
    """On the machine that wrote the files they are the same to the bit, by torch."""
    then, now = scored_then(name), detector.score(digits_scored())
    by_another = detector.engine.name is not EngineName.TORCH
    rtol = 1e-4 if by_another else detector.bundle.manifest.tolerance  # of law 2: the files may be of another processor
    assert_allclose(now.score, then["score"], rtol=rtol)
    assert_array_equal(then["p_value"], now.p_value)
    assert list(now.terms) == [RENAMED.get(term, term) for term in then["terms"]]
    for term, values in then["terms"].items():
        assert_allclose(now.terms[RENAMED.get(term, term)], values, rtol=rtol, atol=rtol, err_msg=term)
    assert_allclose(now.heatmap[:2], then["heatmap"], rtol=10 * rtol, atol=rtol)


def test_there_is_a_bundle_of_each_kind() -> None:
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) == list(NAMES)
    for name in NAMES:
        assert json.loads((FOLDER / name / "1" / MANIFEST).read_text())["schema_version"] == 1


@each_bundle
def test_a_bundle_of_schema_1_scores_as_it_did(name: str) -> None:
    assert_scores_as_then(load_detector(FOLDER / name, device="cpu"), name)


@each_bundle
def test_terms_and_curves_have_todays_names_and_the_sets_are_not_known(name: str) -> None:
    contents = load(FOLDER / name).contents
    manifest = contents.manifest
    assert manifest.schema_version == SCHEMA_VERSION
    names = {*manifest.terms, *manifest.metrics, *(column for row in contents.history for column in row)}
    assert not {column for column in names if "patch" in column or "turn" in column}
    assert len(contents.normals.keys) == 143
    assert (contents.normals.sets == NormalSet.UNKNOWN).all()


def test_its_recipe_is_what_it_was_trained_by() -> None:
    recipes = {name: load(FOLDER / name).manifest.recipe for name in NAMES}
    assert all(recipe.preprocess.size == recipe.plan.size == 8 for recipe in recipes.values())
    assert all(recipe.score.feature_layer == "conv1" for recipe in recipes.values())
    assert recipes["anogan"].search == SearchConfig(start="prior", steps=8, restarts=2, pairs=False)
    assert recipes["bigan"].search is None
    assert recipes["bf16"].score.precision == Precision.BF16
    assert recipes["alad"].plan.cycle_discriminators
    assert recipes["f-anogan"].training.gradient_penalty == 10.0
    assert dict(recipes["synthetic-defects"].auxiliary) == {
        "synthetic_defects": True,
        "memory_bank": 87,
        "rotation": False,
    }
    assert dict(recipes["rotation"].auxiliary) == {"synthetic_defects": False, "memory_bank": 0, "rotation": True}
    assert {name for name in NAMES if recipes[name].score.combine == "auxiliary"} == {"synthetic-defects", "rotation"}


@pytest.mark.parametrize(
    ("name", "column"), [("synthetic-defects", "synthetic_defects"), ("rotation", "rotation"), ("bigan", None)]
)
def test_curves_of_auxiliary_discriminators_are_renamed_in_every_row(name: str, column: str | None) -> None:
    contents = load(FOLDER / name).contents
    assert len(contents.history) == 30
    for row in [*contents.history, contents.manifest.metrics]:
        found = {key for key in row if key.endswith(("_synthetic_defects", "_rotation"))}
        assert found == ({f"loss_{column}", f"grad_{column}"} if column else set())


@each_bundle
def test_upgraded_it_is_of_todays_schema_and_scores_as_it_did(name: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER / name, tmp_path / name)
    bundle = upgrade_bundle(tmp_path / name, device="cpu")
    assert (bundle.name, bundle.version) == (name, 2)
    assert json.loads((tmp_path / name / "2" / MANIFEST).read_text())["schema_version"] == SCHEMA_VERSION
    assert (tmp_path / name / "1" / MANIFEST).read_bytes() == (FOLDER / name / "1" / MANIFEST).read_bytes()
    before = load(tmp_path / name / "1")
    assert bundle.manifest == before.manifest
    assert_array_equal(before.contents.normals.keys, bundle.contents.normals.keys)
    for engine in ("auto", "torch"):
        assert_scores_as_then(load_detector(tmp_path / name, device="cpu", engine=engine), name)


def test_a_folder_that_cannot_be_written_is_refused_before_the_graph_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Contents] = []
    monkeypatch.setattr(upgrade, "with_graph", made.append)
    model = Path(shutil.copytree(FOLDER / "bigan", tmp_path / "m"))
    refuse_writing(monkeypatch, model)
    with pytest.raises(StorageError, match=rf"^cannot write a bundle into {model}: Permission denied"):
        upgrade_bundle(model, device="cpu")
    assert not made


def other_shapes(manifest: dict[str, Any]) -> None:
    manifest["preprocess"]["size"] = 16


def no_network(manifest: dict[str, Any]) -> None:
    del manifest["network"]


def nothing_taught(manifest: dict[str, Any]) -> None:
    manifest["score"]["combine"] = "taught"


def searched_autoencoder(manifest: dict[str, Any]) -> None:
    manifest |= {"method": "autoencoder", "search": {}}
    manifest["training"]["method"] = "autoencoder"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_shapes, "preprocess and network are for images of different shapes"),
        (no_network, "'network' is missing"),
        (nothing_taught, "there is no auxiliary discriminator to make the score"),
        (searched_autoencoder, "autoencoder finds latents by its encoder"),
    ],
)
def test_a_manifest_of_schema_1_whose_parts_do_not_fit_is_refused(
    change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    with copy_of(FOLDER / "bigan" / "1") as copied:
        manifest = json.loads((copied / MANIFEST).read_text())
        change(manifest)
        (copied / MANIFEST).write_text(json.dumps(manifest))
        sum_again(copied)
        with pytest.raises(CorruptBundleError, match=reason):
            load(copied)
