"""`anomaly models`: what is there, what it is, and whether it is sound."""

from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from anomaly.bundle import list_bundles, load
from anomaly.bundle.manifest import SCHEMA_VERSION
from anomaly.defaults import ALPHA
from anomaly.errors import BundleNotFoundError
from anomaly.inference import load_detector
from service.app import create_app
from service.settings import Settings
from tests.cli.calls import TINY, call, done, refused
from tests.digit_images import normals, others, write_images


@pytest.fixture
def models(bigan_dir: Path, anogan_dir: Path, tmp_path: Path) -> Path:
    """zeros/1, zeros/2 and search/1, which may be changed."""
    for source, place in ((bigan_dir, "zeros/1"), (bigan_dir, "zeros/2"), (anogan_dir, "search/1")):
        copytree(source / "1", tmp_path / "models" / place)
    return tmp_path / "models"


def test_list(models: Path) -> None:
    (models / "no-bundle").mkdir()
    write_images(models.parent / "new", others()[:30])
    done("calibrate", models / "zeros", models.parent / "new", "--device", "cpu")
    lines = done("models", "list", models).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["search/1", "zeros/1", "zeros/2", "zeros/3"]
    assert ["  (current)  " in line for line in lines] == [True, False, False, True]
    bundle = load(models / "zeros" / "3")
    assert bundle.contents.calibration.threshold(ALPHA) is not None
    assert lines[3] == (
        f"zeros/3  (current)  calibrated {bundle.manifest.created}, 30 calibration images, "
        f"threshold {bundle.contents.calibration.threshold(ALPHA):.6g} at a false-alarm rate of 5%"
    )
    assert f"zeros/1  trained {load(models / 'zeros' / '1').manifest.created}, " in lines[1]


def test_the_wrong_level_of_folder_is_told(models: Path, tmp_path: Path) -> None:
    for given, said in {
        "zeros": "zeros is the folder of the model zeros; give the folder that holds the models, ",
        "zeros/2": "zeros/2 is a version of the model zeros; give the folder that holds the models, ",
    }.items():
        assert f"{models / said}{models}\n" in done("models", "list", models / given).stderr
        with pytest.raises(BundleNotFoundError, match=f"{models / said}{models}"):
            create_app(Settings(models=models / given))
    above = f"{models} is a folder that holds models (search, zeros); give "
    assert f"{above}one of them, such as {models / 'search'}" in refused("models", "show", models)
    assert f"{above}a folder in it" in refused("train", "digits", "--normal", "0", "--out", models, *TINY)
    (tmp_path / "classes" / "train" / "1").mkdir(parents=True)
    assert "there is no bundle at" in refused("models", "show", tmp_path / "classes")


def test_a_bundle_whose_manifest_cannot_be_read_is_listed(models: Path) -> None:
    (models / "zeros" / "1" / "manifest.json").write_text("{}")
    assert "zeros/1  its manifest or calibration cannot be read" in done("models", "list", models).stdout


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


@pytest.mark.parametrize(
    "words",
    [
        ("score", "MODEL", "DATA", "--out", "VERSION/rows.csv"),
        ("score", "MODEL", "DATA", "--out", "rows.csv", "--heatmaps", "VERSION"),
        ("evaluate", "MODEL", "digits", "--normal", "0", "--out", "VERSION/report"),
        ("inspect", "MODEL", "--out", "VERSION"),
        ("export", "MODEL", "--out", "VERSION/export"),
        ("region", "DATA", "--out", "VERSION/region.png"),
        ("archive", "MODEL", "DATA", "--out", "VERSION/rows"),
        ("watch", "MODEL", "DATA", "--to", "VERSION/rows.csv"),
        ("watch", "MODEL", "DATA", "--to", "rows.csv", "--move-to", "VERSION"),
        ("watch", "MODEL", "DATA", "--to", "rows.csv", "--journal", "VERSION/journal.sqlite"),
        ("watch", "MODEL", "VERSION", "--to", "rows.csv", "--journal", "journal.sqlite"),
        ("serve", "--models", "MODELS", "--history", "VERSION/history.sqlite"),
        ("history", "export", "history.sqlite", "--images", "DATA", "--out", "VERSION/corrections.csv"),
        ("keys", "add", "me", "--file", "VERSION/keys"),
        ("train", "digits", "--normal", "0", *TINY, "--out", "other", "--tensorboard", "VERSION"),
    ],
)
def test_nothing_is_written_into_a_version_of_a_model(
    words: tuple[str, ...], bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be refused from then on: whatever lies in its folder was added."""
    monkeypatch.chdir(tmp_path)
    version = Path(copytree(bigan_dir, tmp_path / "zeros")) / "1"
    before = sorted(version.rglob("*"))
    write_images(tmp_path / "data", normals()[:3])
    given = {"MODELS": str(tmp_path), "MODEL": str(version.parent), "DATA": str(tmp_path / "data")}
    message = refused(*(given.get(word, word.replace("VERSION", str(version))) for word in words))
    assert f"lies in {version}, a version of a model" in message
    assert "choose another place" in message
    assert sorted(version.rglob("*")) == before
    assert load(version).version == 1
