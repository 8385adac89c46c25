"""`anomaly models`: what is there, what it is, and whether it is sound."""

from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from anomaly.bundle import list_bundles, load
from anomaly.bundle.manifest import SCHEMA_VERSION
from anomaly.inference import load_detector
from tests.cli.calls import call, done, refused
from tests.digit_images import normals


@pytest.fixture
def models(bigan_dir: Path, anogan_dir: Path, tmp_path: Path) -> Path:
    """zeros/1, zeros/2 and search/1, which may be changed."""
    for source, place in ((bigan_dir, "zeros/1"), (bigan_dir, "zeros/2"), (anogan_dir, "search/1")):
        copytree(source / "1", tmp_path / "models" / place)
    return tmp_path / "models"


def test_list(models: Path) -> None:
    (models / "no-bundle").mkdir()
    result = done("models", "list", models)
    assert result.stdout.splitlines() == ["search/1  (current)", "zeros/1", "zeros/2  (current)"]


def test_list_of_nothing(tmp_path: Path) -> None:
    result = done("models", "list", tmp_path)
    assert result.stdout == ""
    assert f"no bundles under {tmp_path}" in result.stderr
    assert "there is no folder" in refused("models", "list", tmp_path / "nowhere")


def test_list_does_not_open_what_it_lists(models: Path) -> None:
    (models / "zeros" / "1" / "weights.safetensors").write_text("broken")
    assert "zeros/1" in done("models", "list", models).stdout


def test_show_prints_the_card_and_the_digest(models: Path) -> None:
    result = done("models", "show", models / "zeros")
    bundle = load(models / "zeros" / "2")
    assert result.stdout.startswith(bundle.card)
    assert result.stdout.endswith(f"digest {bundle.digest}\n")


@pytest.mark.parametrize("name", ["zeros", "search"])
def test_verify(models: Path, name: str) -> None:
    result = done("models", "verify", models / name, "--device", "cpu")
    assert f"{load(models / name).ref.path} is sound, digest {load(models / name).digest}" in result.stdout


@pytest.mark.parametrize("verb", ["show", "verify"])
def test_a_corrupt_bundle_is_refused(models: Path, verb: str) -> None:
    weights = models / "zeros" / "2" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    message = refused("models", verb, models / "zeros")
    assert "is corrupt: weights.safetensors changed" in message
    assert len(message.splitlines()) == 1
    done("models", verb, models / "zeros" / "1")


@pytest.mark.parametrize("verb", ["show", "verify"])
def test_no_bundle(tmp_path: Path, verb: str) -> None:
    assert "there is no bundle at" in refused("models", verb, tmp_path)


def test_upgrade_writes_a_version_that_scores_the_same(tmp_path: Path) -> None:
    copytree(Path(__file__).parents[1] / "bundle" / "schema1" / "anogan", tmp_path / "anogan")
    images = list(normals()[:5])
    result = done("models", "upgrade", tmp_path / "anogan", "--device", "cpu")
    assert f"wrote {tmp_path / 'anogan' / '2'} in schema {SCHEMA_VERSION}" in result.stdout
    old, new = (load_detector(tmp_path / "anogan" / version, device="cpu").score(images) for version in "12")
    np.testing.assert_allclose(old.score, new.score, rtol=1e-5)
    assert "there is nothing to upgrade" in refused("models", "upgrade", tmp_path / "anogan", "--device", "cpu")
    assert sorted(path.name for path in (tmp_path / "anogan").iterdir()) == ["1", "2"]
    assert "there is no bundle at" in refused("models", "upgrade", tmp_path / "nowhere")


def test_shipped_bundles_have_todays_schema() -> None:
    for ref in list_bundles(Path(__file__).parents[2] / "models"):
        assert load(ref.path).schema_version == SCHEMA_VERSION
        assert "there is nothing to upgrade" in refused("models", "upgrade", ref.path, "--device", "cpu")


def test_an_unknown_verb() -> None:
    assert call("models", "delete").exit_code == 2
