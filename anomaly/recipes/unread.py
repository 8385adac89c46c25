"""Fields that a recipe never reads: given by a user they are refused, for what was asked for would not be done.

Shipped recipes and bundles may hold such fields: only what a user sets is looked at. A field that asks for nothing,
such as `features.memory=0` where nothing is remembered, says what is so, and stays.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from anomaly.config import (
    Architecture,
    FeaturesConfig,
    Method,
    NetworkConfig,
    Place,
    Precision,
    Recipe,
    TrainingConfig,
)
from anomaly.errors import UsageError
from anomaly.recipes.files import Sections

_OF_PLACES = {"method", "steps", "batch_size", "learning_rate", "seed"}
_NOTHING: dict[str, object] = {
    "features.memory": 0,
    "training.clip_weights": 0,
    "training.gradient_penalty": 0,
    "training.precision": Precision.FP32,
}
"""Values that say what is so where the field is not read; beside false."""
_CHOOSE_GAN = "choose a recipe that has them, such as digits"


class _Unread(NamedTuple):
    """Fields of a section that have no effect, why, and what else would do it."""

    section: str
    fields: Sequence[str]
    why: str
    instead: str


def check_read(given: Sections, recipe: Recipe) -> None:
    """Raises UsageError for fields that a user has given, and that have no effect in this recipe."""
    for section, fields, why, instead in _unread(recipe):
        there = given.get(section, {})
        names = [f"{section}.{name}" for name in fields if name in there and _asks(recipe, section, name)]
        if len(names) == 1:
            raise UsageError(f"{names[0]} has no effect: {why}; leave it away, or {instead}")
        if names:
            listed = f"{', '.join(names[:-1])} and {names[-1]}"
            raise UsageError(f"{listed} have no effect: {why}; leave them away, or {instead}")


def _asks(recipe: Recipe, section: str, name: str) -> bool:
    config = getattr(recipe, section)
    value: Any = getattr(config, name, None)
    nothing = _NOTHING.get(f"{section}.{name}", False)
    return config is None or (value is not False and value != nothing)


def _unread(recipe: Recipe) -> Iterator[_Unread]:
    if not recipe.has_generator:
        yield from _unread_of_places(recipe)
        return
    method = recipe.training.method
    yield _Unread(
        "features",
        list(FeaturesConfig.model_fields),
        f"only training.method=features reads the section features, and this is {method}",
        "choose a recipe with pretrained features, such as parts",
    )
    yield from _unread_of_networks(recipe)
    yield from _unread_of_games(recipe)
    if method is not Method.BIGAN:
        yield _Unread("search", ["pairs"], f"{method} has no D of pairs (x, z) to search by", "leave it away")
    if recipe.search is None:
        yield _Unread(
            "search",
            ["objective", "start", "restarts", "learning_rate", "patience", "tolerance", "pairs"],
            "search.steps=0 leaves the search away",
            "give search.steps of at least 1",
        )
        if recipe.score.combine != "paper" or method not in (Method.ANOGAN, Method.BIGAN):
            yield _Unread(
                "score",
                ["feature_weight"],
                "it weighs F(x) in a search and in the paper's score of anogan and bigan, and this recipe has neither",
                "choose score.combine=paper with one of them",
            )


def _unread_of_places(recipe: Recipe) -> Iterator[_Unread]:
    features, has_no_gan = recipe.features, "training.method=features has no G, E and D of images"
    yield _Unread("network", list(NetworkConfig.model_fields), has_no_gan, _CHOOSE_GAN)
    yield _Unread("score", ["feature_weight", "feature_layer"], has_no_gan, _CHOOSE_GAN)
    of_games = [name for name in TrainingConfig.model_fields if name not in _OF_PLACES]
    used = f"training.method=features reads of this section {', '.join(sorted(_OF_PLACES - {'method'}))} only"
    yield _Unread("training", of_games, used, "choose another recipe, such as digits")
    if not features.discriminator:
        why = "features.discriminator=false leaves away what reads it"
        yield _Unread("features", ["sigma", "spoilt"], why, "leave features.discriminator=false away")
        yield _Unread("training", ["batch_size", "learning_rate"], why, "leave features.discriminator=false away")
    if not features.memory:
        of_memory = ["memory_maps", "memory_per_place", "memory_cells", "memory_grid", "places"]
        yield _Unread("features", of_memory, "features.memory=0 leaves the memory away", "leave features.memory=0 away")
        return
    why, instead = f"features.places={features.places} does not read it", "leave features.places away"
    if features.places not in ("auto", Place.SAME):
        yield _Unread("features", ["memory_per_place", "memory_cells"], why, instead)
    if features.places not in ("auto", Place.ALIGNED):
        yield _Unread("features", ["memory_grid"], why, instead)


def _unread_of_networks(recipe: Recipe) -> Iterator[_Unread]:
    architecture, method = recipe.network.architecture, recipe.training.method
    is_mlp = architecture is Architecture.MLP
    why = f"network.architecture={architecture} does not read it"
    if is_mlp:
        yield _Unread("network", ["width", "max_width"], why, "set network.hidden")
    else:
        yield _Unread("network", ["hidden", "leak"], why, "choose network.architecture=mlp")
    if method is Method.AUTOENCODER:
        of_d = ["dropout", "discriminator_batch_norm"]
        yield _Unread("network", of_d, "it is D's, and autoencoder has no D", "choose another training.method")
    elif not is_mlp and method is not Method.ALAD:  # whose D_zz has layers
        yield _Unread("network", ["dropout"], why, "choose network.architecture=mlp")


def _unread_of_games(recipe: Recipe) -> Iterator[_Unread]:
    training = recipe.training
    another = "choose another training.method, such as bigan"
    if training.method is Method.AUTOENCODER:
        of_games = ["loss", "d_steps", "g_steps", "spectral_norm", "gradient_penalty", "clip_weights", "adversarial"]
        yield _Unread(
            "training", [*of_games, "cycle_x", "cycle_z"], "autoencoder has no game beside its one loss", another
        )
    if training.method in (Method.ANOGAN, Method.F_ANOGAN):
        why = f"the game of {training.method} has no encoder, and so no cycles to weigh"
        yield _Unread("training", ["cycle_x", "cycle_z"], why, another)
    why = f"training.optimizer={training.optimizer} does not read it"
    other, fields = ("sgd", ["momentum"]) if training.optimizer == "adam" else ("adam", ["beta1", "beta2"])
    yield _Unread("training", fields, why, f"choose training.optimizer={other}")
