"""`anomaly train --recipe … --set …`: what it resolves to, the same as from Python, and mistakes as one sentence."""

from pathlib import Path
from typing import Any

import pytest

from anomaly.bundle import load
from anomaly.config import AuxiliaryConfig, NetworkConfig, PreprocessConfig, Recipe, SearchConfig, TrainingConfig
from anomaly.pipeline.train import TrainOptions, train_bundle
from tests.cli.calls import TINY, done, refused, sets
from tests.digit_images import digits, write_images

ZERO = ("digits", "--normal", "0", "--device", "cpu")
SMALL: dict[str, dict[str, Any]] = {"network": {"width": 4, "latent_dim": 2}}
RUN = {"steps": 4, "batch_size": 8}
CASES: dict[str, tuple[tuple[str, ...], dict[str, dict[str, Any]], Recipe]] = {
    "auxiliaries": (
        sets("auxiliary.synthetic_defects=true", "auxiliary.memory_bank=5", "auxiliary.rotation=true"),
        {"auxiliary": {"synthetic_defects": True, "memory_bank": 5, "rotation": True}},
        Recipe(auxiliary=AuxiliaryConfig(synthetic_defects=True, memory_bank=5, rotation=True)),
    ),
    "anogan": (
        sets("training.method=anogan", "search.steps=2"),
        {"training": {"method": "anogan"}, "search": {"steps": 2}},
        Recipe(training=TrainingConfig.model_validate({"method": "anogan"}), search=SearchConfig(steps=2)),
    ),
    "f-anogan": (
        sets("training.method=f-anogan"),
        {"training": {"method": "f-anogan"}},
        Recipe(training=TrainingConfig.model_validate({"method": "f-anogan"})),
    ),
}
"""As options, as `TrainOptions` has them, and as a recipe in Python."""


@pytest.mark.parametrize("name", CASES)
def test_python_gives_what_the_command_line_gives(name: str, tmp_path: Path) -> None:
    options, overrides, recipe = CASES[name]
    done("train", *ZERO, *TINY, "--steps", "4", *options, "--out", tmp_path / "a")
    own = {**SMALL, **overrides, "training": {**RUN, **overrides.get("training", {})}}
    train_bundle(
        TrainOptions(data="digits", out=tmp_path / "b", recipe="digits", overrides=own, normal=("0",), device="cpu")
    )
    first, second = (load(tmp_path / place).manifest for place in "ab")
    assert first.recipe == second.recipe
    assert first.recipe_name == second.recipe_name == "digits"
    assert (tmp_path / "a" / "1" / "weights.safetensors").read_bytes() == (
        tmp_path / "b" / "1" / "weights.safetensors"
    ).read_bytes()
    whole = Recipe.model_validate(
        {
            **{section: getattr(recipe, section) for section in recipe.model_fields_set},
            "preprocess": PreprocessConfig(size=8, channels=1),
            "network": NetworkConfig(width=4, latent_dim=2),
            "training": {**recipe.training.model_dump(exclude_unset=True), **RUN},
        }
    )
    layer = first.recipe.score.feature_layer  # which is left open until the networks are known
    assert first.recipe == whole.model_copy(update={"score": whole.score.model_copy(update={"feature_layer": layer})})


def test_what_follows_is_in_the_manifest(tmp_path: Path) -> None:
    done("train", *ZERO, *TINY, *sets("training.method=f-anogan", "auxiliary.rotation=true"), "--out", tmp_path / "m")
    recipe = load(tmp_path / "m").manifest.recipe
    assert (recipe.training.loss, recipe.training.gradient_penalty) == ("wasserstein", 10.0)
    assert not recipe.training.spectral_norm
    assert recipe.score.combine == "auxiliary"


def test_a_users_file(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(
        "# Tiny.\n[preprocess]\nsize = 16\n[network]\nwidth = 4\nlatent_dim = 2\n"
        '[training]\nmethod = "autoencoder"\nsteps = 5\nbatch_size = 8\n'
    )
    result = done("train", *ZERO, "--recipe", path, "--out", tmp_path / "m", "--steps", "3")
    manifest = load(tmp_path / "m").manifest
    assert (manifest.recipe_name, manifest.recipe_reason) == ("tiny", "")
    assert (manifest.recipe.training.method, manifest.recipe.training.steps) == ("autoencoder", 3)
    assert manifest.recipe.preprocess.size == 16
    assert "recipe tiny; " in result.stderr
    assert "| recipe | tiny |" in load(tmp_path / "m").card


def test_the_images_choose_and_the_reason_is_kept(tmp_path: Path) -> None:
    write_images(tmp_path / "d", digits("train", "0")[:30])
    small = sets("network.width=4", "network.latent_dim=2", "training.batch_size=8")
    result = done("train", tmp_path / "d", "--device", "cpu", "--steps", "3", *small, "--out", tmp_path / "m")
    manifest = load(tmp_path / "m").manifest
    reason = "30 grey images of 8 × 8 pixels: at most 64 pixels a side, and fewer than 1,000 images"
    assert (manifest.recipe_name, manifest.recipe_reason) == ("few-images", reason)
    assert manifest.recipe.training.augment
    assert f"recipe few-images, chosen for {reason}; " in result.stderr
    assert f"few-images ({reason})" in load(tmp_path / "m").card


def test_a_field_is_not_set_twice(tmp_path: Path) -> None:
    for option, field in {"--steps": "training.steps", "--seed": "training.seed", "--size": "preprocess.size"}.items():
        refused_ = refused("train", *ZERO, *sets(f"{field}=16"), option, "8", "--out", tmp_path / "m")
        assert f"{field} is set twice, by --set and by {option}; leave one of them away" in refused_
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--recipe", "screws"], "there is no recipe 'screws'; there are alad, anogan"),
        (["--recipe", "nowhere.toml"], "the recipe nowhere.toml cannot be read"),
        (["--recipe", "text.toml"], "the recipe text.toml is not TOML: "),
        (["--recipe", "section.toml"], "the recipe section.toml: there is no section 'traning'"),
        (["--recipe", "field.toml"], "the recipe field.toml: the section training has no field 'step'"),
        (["--recipe", "value.toml"], "training.steps: "),
        (["--set", "steps"], "--set steps: expected SECTION.FIELD=VALUE"),
        (["--set", "training.steps"], "--set training.steps: expected SECTION.FIELD=VALUE"),
        (["--set", "traning.steps=1"], "--set: there is no section 'traning'; there are preprocess, network"),
        (["--set", "training.step=1"], "--set: the section training has no field 'step'; it has method"),
        (["--set", "training.steps=many"], "training.steps: "),
        (["--set", "training.steps=0.5"], "training.steps: "),
        (["--set", "preprocess.size=[8]"], "preprocess.size: "),
        (["--set", "auxiliary.rotation=perhaps"], "auxiliary.rotation: "),
    ],
)
def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.toml").write_text("steps: 7\n")
    Path("section.toml").write_text("[traning]\nsteps = 7\n")
    Path("field.toml").write_text("[training]\nstep = 7\n")
    Path("value.toml").write_text('[training]\nsteps = "many"\n')
    message = refused("train", *ZERO, "--out", "m", *options)
    assert message.startswith(said)
    assert len(message.splitlines()) == 1
    assert not Path("m").exists()


@pytest.mark.parametrize("name", ["screws", "nowhere.toml", "text.toml"])
def test_a_recipe_that_cannot_be_shown_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.toml").write_text("steps: 7\n")
    assert name in refused("recipes", "show", name)
