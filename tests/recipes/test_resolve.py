"""From a name, what is set on top, and the images, to the recipe that is trained."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from anomaly.config import Recipe, Resize, TrainingConfig
from anomaly.errors import UsageError
from anomaly.recipes import AUTO, Survey, recipe_names, resolve, to_recipe

SMALL = Survey(5000, 28, 28, has_colour=False)


@pytest.mark.parametrize(
    ("found", "name", "size", "channels", "reason"),
    [
        (SMALL, "digits", 32, 1, "at most 64 pixels a side"),
        (Survey(1000, 64, 40, has_colour=True), "digits", 64, 3, "at most 64 pixels a side"),
        (Survey(999, 28, 28, has_colour=False), "few-images", 32, 1, "fewer than 1,000 images"),
        (Survey(30, 3, 5, has_colour=False), "few-images", 8, 1, "fewer than 1,000 images"),
        (Survey(30, 65, 10, has_colour=True), "parts", 128, 3, "more than 64 pixels a side"),
        (Survey(9999, 100, 100, has_colour=False), "parts", 128, 1, "more than 64 pixels a side"),
        (Survey(60, 768, 1024, has_colour=True), "parts", 256, 3, "more than 64 pixels a side"),
    ],
)
def test_the_images_choose(found: Survey, name: str, size: int, channels: int, reason: str) -> None:
    resolved = resolve(AUTO, {}, found)
    preprocess = resolved.recipe.preprocess
    assert (resolved.name, preprocess.size, preprocess.channels) == (name, size, channels)
    assert resolved.reason.startswith(f"{found}: ")
    assert reason in resolved.reason
    assert resolved.recipe == resolve(name, {"preprocess": {"size": size}}, found).recipe


def test_large_pictures_keep_their_shape_and_all_of_their_resolution_that_fits_the_time() -> None:
    few = resolve(AUTO, {}, Survey(260, 960, 1280, has_colour=True))
    assert (few.name, few.recipe.preprocess.resize, few.recipe.preprocess.scale) == ("large-parts", "whole", 1.0)
    assert "more than 1024 pixels a side" in few.reason
    many = resolve(AUTO, {}, Survey(1000, 3000, 4000, has_colour=True)).recipe.preprocess
    assert many.scale == 0.289  # 1000 · 4000 · 3000 · 0.289² is a thousand million
    assert resolve(AUTO, {"preprocess": {"size": 128}}, Survey(260, 960, 1280, has_colour=True)).name == "parts"


def test_without_pretrained_features_larger_pictures_have_surfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("anomaly.recipes.resolve"), "is_installed", lambda library: False)
    resolved = resolve(AUTO, {}, Survey(60, 960, 1280, has_colour=True))
    assert (resolved.name, resolved.recipe.preprocess.size) == ("surfaces", 256)
    assert "the extra `pretrained` is not installed" in resolved.reason


def test_a_named_recipe_has_no_reason_and_small_pictures_at_most_64_pixels() -> None:
    resolved = resolve("digits", {}, Survey(60, 960, 1280, has_colour=True))
    assert (resolved.name, resolved.reason, resolved.recipe.preprocess.size) == ("digits", "", 64)
    assert resolve("surfaces", {}, SMALL).recipe.preprocess.size == 256


def test_what_is_set_goes_before_the_recipe_and_the_recipe_before_the_images() -> None:
    photographs = Survey(60, 960, 1280, has_colour=True)
    overrides = {"preprocess": {"size": 128, "channels": 1}, "training": {"steps": 9}}
    for name, batch_size in ((AUTO, 512), ("surfaces", 8)):
        recipe = resolve(name, overrides, photographs).recipe
        assert (recipe.preprocess.size, recipe.preprocess.channels, recipe.training.steps) == (128, 1, 9)
        assert (recipe.preprocess.resize, recipe.training.batch_size) == ("stretch", batch_size)
    assert resolve("lenet", {}, SMALL).recipe.preprocess.size == 32
    assert resolve("lenet", {}, photographs).recipe.preprocess.size == 32


def test_what_follows_from_what_is_set_follows_on_top_of_a_recipe_too() -> None:
    recipe = resolve("digits", {"training": {"method": "f-anogan"}, "network": {"width": 8}}, SMALL).recipe
    assert (recipe.training.loss, recipe.training.gradient_penalty) == ("wasserstein", 10.0)
    assert recipe.training == TrainingConfig.model_validate({"method": "f-anogan"})
    assert recipe.network.max_width == 64
    assert resolve("digits", {"training": {"method": "anogan"}}, SMALL).recipe.search is not None
    assert resolve("digits", {"auxiliary": {"rotation": True}}, SMALL).recipe.score.combine == "auxiliary"
    alone = {"auxiliary": {"synthetic_defects": False}}
    assert resolve("surfaces", alone, SMALL).recipe.score.combine == "mahalanobis"


def test_a_users_file(tmp_path: Path) -> None:
    path = tmp_path / "screws.toml"
    path.write_text("[network]\nwidth = 8\n")
    resolved = resolve(str(path), {"training": {"steps": 5}}, SMALL)
    assert (resolved.name, resolved.reason) == ("screws", "")
    expected = Recipe.model_validate(
        {"preprocess": {"size": 32, "channels": 1}, "network": {"width": 8}, "training": {"steps": 5}}
    )
    assert resolved.recipe == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[traning]\nsteps = 7\n", "there is no section 'traning'; there are preprocess, network"),
        ("[training]\nstep = 7\n", "the section training has no field 'step'; it has method"),
        ("training = 7\n", "training is one section; write its fields below"),
        ("[training]\nsteps = 0\n", "training.steps: Input should be greater than or equal to 1; got 0"),
        ("[training]\nbatch_size = true\n", "greater than or equal to 2; got true"),
        ("[training]\naugment = {a = [false, 'b']}\n", "got {a = [false, 'b']}"),
        ("[training]\nmethod = 1979-05-27\n", "; got 1979-05-27"),
        ('[training]\nsteps = "many"\n', "training.steps: "),
        ('[training]\nmethod = "anogan"\n[search]\nsteps = 0\nstart = "prior"\n', "search.start=prior has none"),
    ],
)
def test_mistakes_in_a_file_are_a_sentence(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        resolve(str(path), {}, SMALL)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or "section" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "overrides", "said"),
    [
        ("large-parts", {"preprocess": {"size": 256}}, r"preprocess\.size \(--size\) .* shapes; leave it away"),
        ("parts", {"preprocess": {"scale": 0.5}}, r"preprocess\.scale .*\.resize=stretch makes squares"),
        ("digits", {"preprocess": {"scale": 0.5}}, r"preprocess\.scale .*\.resize=pad makes squares"),
    ],
)
def test_a_size_or_scale_that_the_recipe_does_not_use_is_refused(
    name: str, overrides: dict[str, dict[str, Any]], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(name, overrides, Survey(50, 1944, 2592, has_colour=True))


def test_several_mistakes_are_all_told() -> None:
    with pytest.raises(UsageError) as caught:
        resolve("digits", {"training": {"steps": 0, "seed": -1}}, SMALL)
    assert "training.steps: " in str(caught.value)
    assert "training.seed: " in str(caught.value)


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("found", [SMALL, Survey(50, 700, 900, has_colour=True)])
def test_every_recipe_fits_every_image(name: str, found: Survey) -> None:
    resolved = resolve(name, {}, found)
    assert resolved.name == name
    assert resolved.recipe.preprocess.channels == (3 if found.has_colour else 1)
    if resolved.recipe.has_generator:
        assert resolved.recipe.plan.size == resolved.recipe.preprocess.size
    assert (resolved.recipe.preprocess.resize is Resize.WHOLE) == (name == "large-parts")


@pytest.mark.parametrize(
    "sections",
    [
        {"training": {"method": "anogan"}, "search": {"steps": 3}},
        {"training": {"method": "f-anogan"}},
        {"auxiliary": {"synthetic_defects": True, "memory_bank": 9}},
    ],
)
def test_a_resolved_recipe_is_the_same_from_python(sections: dict[str, dict[str, Any]]) -> None:
    overrides = {"preprocess": {"size": 32, "channels": 1}, **sections}
    assert resolve("digits", overrides, SMALL).recipe == to_recipe(overrides) == Recipe.model_validate(overrides)


def test_what_does_not_fit_a_recipe_that_the_images_chose_names_it() -> None:
    found = Survey(40, 1024, 1024, has_colour=False)
    says = r"^recipe parts, chosen for 40 grey images of 1,024 × 1,024 pixels: more than 64 pixels a side, does"
    with pytest.raises(
        UsageError, match=rf"{says} not fit: a restorer.*choose one of 128, 256.*; or choose another recipe$"
    ):
        resolve("auto", {"preprocess": {"size": 64}}, found)
    with pytest.raises(UsageError, match=r"^a restorer of maps"):
        resolve("parts", {"preprocess": {"size": 64}}, found)


def test_what_does_not_fit_is_never_told_of_another_recipe() -> None:
    """A DCGAN cannot have 100 pixels a side either, but `parts` has none. What no recipe can have is told by itself."""
    found = Survey(40, 1024, 1024, has_colour=False)
    says = r"^recipe parts, chosen for .*, does not fit: a restorer.*choose one of 128, 256; or choose another recipe$"
    with pytest.raises(UsageError, match=says):
        resolve("auto", {"preprocess": {"size": 100}}, found)
    with pytest.raises(UsageError, match=r"^a DCGAN halves the side down to 4, so 100 does not fit"):
        resolve("auto", {"preprocess": {"size": 100}}, SMALL)
    with pytest.raises(UsageError, match=r"choose one of 8, 16, 32, 64, 128, 256$"):  # defects need a multiple of 8
        resolve("surfaces", {"preprocess": {"size": 100}}, found)
    with pytest.raises(UsageError, match=r"^preprocess\.size: Input should be less than or equal to 256; got 512$"):
        resolve("auto", {"preprocess": {"size": 512}}, found)
