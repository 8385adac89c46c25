"""Fields that a user sets and that the recipe never reads: refused by name; and that they are not read is tried."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomaly.bundle import Contents
from anomaly.errors import UsageError
from anomaly.inference.torch_engine import TorchEngine
from anomaly.recipes import AUTO, Survey, merged, recipe_names, resolve, to_recipe
from anomaly.recipes.unread import check_read
from anomaly.training import learn
from tests.training.runs import CPU, digits
from tests.training.test_learn import RECORD, SPLIT, N

SMALL, LARGE = Survey(5000, 28, 28, has_colour=False), Survey(60, 768, 1024, has_colour=True)
Sections = dict[str, dict[str, Any]]


@pytest.mark.parametrize(
    ("name", "overrides", "said"),
    [
        (
            "digits",
            {"features": {"memory": 10}},
            r"^features\.memory has no effect: .* this is bigan; .* such as parts$",
        ),
        (
            "parts",
            {"network": {"width": 4}},
            r"^network\.width has no effect: .* has no G, E and D .*; leave it away, or",
        ),
        ("parts", {"network": {"width": 4, "prior": "uniform"}}, r"^network\.prior and network\.width have no effect"),
        (
            "parts",
            {"training": {"optimizer": "sgd"}},
            r"^training\.optimizer has no effect: .*batch_size, learning_rate",
        ),
        ("parts", {"training": {"augment": True}}, r"^training\.augment has no effect"),
        ("parts", {"training": {"precision": "bf16"}}, r"^training\.precision has no effect"),
        ("parts", {"score": {"feature_weight": 0.5}}, r"^score\.feature_weight has no effect"),
        ("parts", {"features": {"memory_grid": 99, "places": "same"}}, r"memory_grid has .*: features\.places=same"),
        ("parts", {"features": {"memory": 0, "places": "same"}}, r"places has .*: features\.memory=0"),
        ("parts", {"features": {"discriminator": False, "sigma": 3}}, r"sigma has .*: features\.discriminator=false"),
        ("digits", {"score": {"feature_weight": 0.5}}, r"feature_weight has .* choose score\.combine=paper"),
        ("alad", {"score": {"feature_weight": 0.5, "combine": "paper"}}, r"feature_weight has no effect"),
        ("anogan", {"search": {"steps": 0, "restarts": 3}}, r"search\.restarts has no effect: search\.steps=0"),
        ("mlp-gan", {"network": {"width": 4}}, r"width has no effect: network\.architecture=mlp .* network\.hidden$"),
        ("digits", {"training": {"momentum": 0.5}}, r"momentum has .*optimizer=adam .* training\.optimizer=sgd$"),
        ("algorithm-1", {"training": {"beta1": 0.9}}, r"beta1 has .*optimizer=sgd .* training\.optimizer=adam$"),
        ("autoencoder", {"training": {"loss": "hinge"}}, r"loss has no effect: autoencoder has no game"),
        ("f-anogan", {"training": {"cycle_x": 9}}, r"cycle_x has no effect: the game of f-anogan has no encoder"),
    ],
)
def test_what_has_no_effect_is_refused_with_what_to_do(name: str, overrides: Sections, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(name, overrides, SMALL)


@pytest.mark.parametrize(
    ("found", "overrides", "said"),
    [
        (SMALL, {"features": {"memory": 10}}, r"^recipe digits, chosen for 5,000 .*: features\.memory has no effect"),
        (LARGE, {"network": {"width": 4}}, r"^recipe parts, chosen for 60 .*: network\.width has no effect"),
    ],
)
def test_where_the_images_chose_the_recipe_it_is_told(found: Survey, overrides: Sections, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(AUTO, overrides, found)
    other = LARGE if found is SMALL else SMALL
    ((section, fields),) = overrides.items()
    recipe = resolve(AUTO, overrides, other).recipe
    assert getattr(recipe, section).model_dump(include=set(fields)) == fields


def test_a_file_of_ones_own_is_looked_at_and_shipped_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[training]\nmethod = "features"\n[network]\nlatent_dim = 8\n')
    with pytest.raises(UsageError, match=r"^network\.latent_dim has no effect"):
        resolve(str(path), {}, SMALL)
    path.write_text('[training]\nmethod = "anogan"\n[search]\nrestarts = 3\n')
    assert resolve(str(path), {"search": {"steps": 0}}, SMALL).recipe.search is None  # as with a shipped one
    assert resolve("parts", {"features": {"places": "near"}}, SMALL).recipe.features.memory_cells == 16
    assert resolve("f-anogan", {"training": {"method": "autoencoder"}}, SMALL).recipe.training.method == "autoencoder"


def test_what_says_how_it_is_stays() -> None:
    nothing: Sections = {"network": {"phi": False}, "auxiliary": {"rotation": False, "memory_bank": 0}}
    assert resolve("parts", {**nothing, "training": {"precision": "fp32", "augment": False}}, SMALL)
    no_features = {"memory": 0, "discriminator": True, "restorer": False}
    with pytest.raises(UsageError, match=r"^features\.discriminator has no effect"):
        resolve("digits", {"features": no_features}, SMALL)
    assert resolve("digits", {"features": {"memory": 0, "restorer": False}}, SMALL)
    assert resolve("autoencoder", {"training": {"spectral_norm": False, "clip_weights": 0}}, SMALL)


TINY: Sections = {
    "preprocess": {"size": 8},
    "network": {"latent_dim": 2, "hidden": [8]},
    "training": {"steps": 4, "batch_size": 8},
}
KINDS: dict[str, Sections] = {
    "bigan": {},
    "bigan of layers": {"network": {"architecture": "mlp"}},
    "bigan by sgd": {"training": {"optimizer": "sgd"}},
    "bigan, its paper's score": {"score": {"combine": "paper"}},
    "anogan": {"training": {"method": "anogan"}, "search": {"steps": 2}},
    "anogan without a search": {"training": {"method": "anogan"}, "search": {"steps": 0}},
    "f-anogan": {"training": {"method": "f-anogan"}},
    "alad": {"training": {"method": "alad"}},
    "alad, its paper's score": {"training": {"method": "alad"}, "score": {"combine": "paper"}},
    "autoencoder": {"training": {"method": "autoencoder"}},
    "autoencoder of layers": {"training": {"method": "autoencoder"}, "network": {"architecture": "mlp"}},
}
OTHER: Sections = {
    "network": {"width": 4, "max_width": 5, "hidden": [9], "leak": 0.1, "dropout": 0.6},
    "features": {"memory": 7, "places": "same", "points": True},
    "training": {
        "loss": "hinge",
        "d_steps": 2,
        "g_steps": 2,
        "learning_rate": 0.01,
        "momentum": 0.1,
        "beta1": 0.1,
        "beta2": 0.1,
        "ema_decay": 0.0,
        "spectral_norm": True,
        "gradient_penalty": 5.0,
        "clip_weights": 0.001,
        "augment": True,
        "adversarial": 0.3,
        "cycle_x": 5.0,
        "cycle_z": 5.0,
    },
    "score": {"feature_weight": 0.7},
}
"""A value for each field that is not its default, and that a few steps show where it is read."""
NOT_SHOWN = {
    ("bigan", "training", "spectral_norm"),  # it is the default
    *((kind, "training", name) for kind in KINDS for name in ("d_steps", "g_steps") if "autoencoder" in kind),
}
"""Where the answer is no matter of the weights: moves that are not made draw images all the same."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_refused_changes_nothing_and_what_is_taken_does(kind: str) -> None:
    sections = merged(TINY, KINDS[kind])
    base, wrong = learnt(sections), list[tuple[str, str, str]]()
    for section, fields in OTHER.items():
        for name, value in fields.items():
            given = {section: {name: value}}
            try:
                recipe = to_recipe(merged(sections, given))
            except UsageError:
                continue  # what does not fit is refused by itself
            if (kind, section, name) in NOT_SHOWN or recipe == to_recipe(sections):
                continue
            try:
                check_read(given, recipe)
                is_read = True
            except UsageError:
                is_read = False
            if is_read == are_alike(base, learnt(merged(sections, given))):
                wrong.append((section, name, "taken" if is_read else "refused"))
    assert wrong == []


def learnt(sections: Mapping[str, Any]) -> Contents:
    return learn(digits(N), SPLIT, to_recipe(sections), RECORD, observer=TorchEngine, device=CPU)


def are_alike(one: Contents, other: Contents) -> bool:
    """The weights of what scores, and the scores."""
    return (
        one.weights.keys() == other.weights.keys()
        and all(np.array_equal(weight, other.weights[name]) for name, weight in one.weights.items())
        and np.array_equal(one.calibration.scores, other.calibration.scores)
    )


def test_no_shipped_recipe_is_refused_as_a_file_of_ones_own(tmp_path: Path) -> None:
    """Whoever begins with a shipped file and edits it is told of nothing that is not his own."""
    from importlib.resources import files

    for name in recipe_names():
        folder = files("anomaly.recipes")
        source = next(
            place for place in (folder / f"{name}.toml", folder / "lectures" / f"{name}.toml") if place.is_file()
        )
        path = tmp_path / f"{name}.toml"
        path.write_text(source.read_text("utf-8"), "utf-8")
        assert resolve(str(path), {}, SMALL).recipe == resolve(name, {}, SMALL).recipe
