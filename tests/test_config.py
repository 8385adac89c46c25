import base64
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anomaly.config import (
    MAX_REMEMBERED,
    Architecture,
    AuxiliaryConfig,
    Config,
    Loss,
    Method,
    NetworkConfig,
    NetworkPlan,
    PreprocessConfig,
    Recipe,
    ScoreConfig,
    SearchConfig,
    TrainingConfig,
)
from anomaly.config.region import decode_region, encode_region, region_note

ALL: list[type[Config]] = [
    PreprocessConfig,
    NetworkConfig,
    AuxiliaryConfig,
    NetworkPlan,
    TrainingConfig,
    SearchConfig,
    ScoreConfig,
    Recipe,
]
each_config = pytest.mark.parametrize("config", ALL)


@each_config
def test_defaults_work_and_survive_json(config: type[Config]) -> None:
    assert config.model_validate_json(config().model_dump_json()) == config()


@each_config
def test_a_field_of_a_later_version_is_refused(config: type[Config]) -> None:
    stored = json.loads(config().model_dump_json()) | {"from_the_future": 1}
    with pytest.raises(ValidationError, match="from_the_future\n  Extra inputs are not permitted"):
        config.model_validate(stored)


@each_config
def test_a_configuration_does_not_change(config: type[Config]) -> None:
    field = next(iter(config.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config(), field, getattr(config(), field))


@given(st.integers(-10, 1000))
def test_a_dcgans_sides_are_powers_of_two_from_8_to_256(size: int) -> None:
    if size in (8, 16, 32, 64, 128, 256):
        assert NetworkPlan(size=size).size == size
    else:
        with pytest.raises(ValidationError):
            NetworkPlan(size=size)


@given(st.integers(-10, 1000))
def test_an_mlps_sides_go_from_2_to_256(size: int) -> None:
    if 2 <= size <= 256:
        assert PreprocessConfig(size=size).size == NetworkPlan(size=size, architecture=Architecture.MLP).size == size
    else:
        for config in (PreprocessConfig, NetworkPlan):
            with pytest.raises(ValidationError, match="size\n"):
                config.model_validate({"size": size, **({"architecture": "mlp"} if config is NetworkPlan else {})})


def test_a_side_between_says_which_to_choose() -> None:
    with pytest.raises(
        ValidationError, match=r"100 does not fit; choose one of 8, 16, 32, 64, 128, 256, or network\.architecture=mlp"
    ):
        NetworkPlan(size=100)


def test_a_joint_discriminator_needs_an_encoder() -> None:
    with pytest.raises(ValidationError, match="needs an encoder and a discriminator; set both to true"):
        NetworkPlan(joint=True, encoder=False)
    assert not NetworkPlan(joint=False, encoder=False).encoder


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (PreprocessConfig, "channels", 2),
        (PreprocessConfig, "resize", "squash"),
        (NetworkPlan, "channels", 4),
        (NetworkConfig, "latent_dim", 0),
        (NetworkConfig, "width", 3),
        (TrainingConfig, "method", "vae"),
        (TrainingConfig, "steps", 0),
        (TrainingConfig, "batch_size", 1),
        (TrainingConfig, "learning_rate", 0.0),
        (TrainingConfig, "beta1", 1.0),
        (TrainingConfig, "ema_decay", 1.0),
        (TrainingConfig, "cycle_x", -1.0),
        (TrainingConfig, "precision", "fp16"),
        (TrainingConfig, "seed", -1),
        (TrainingConfig, "seed", 2**31),
        (SearchConfig, "steps", 0),
        (SearchConfig, "restarts", 65),
        (SearchConfig, "start", "zero"),
        (SearchConfig, "tolerance", 1.0),
        (ScoreConfig, "feature_weight", 1.1),
        (ScoreConfig, "combine", "sum"),
        (ScoreConfig, "precision", "auto"),
        (AuxiliaryConfig, "memory_bank", -1),
        (AuxiliaryConfig, "memory_bank", MAX_REMEMBERED + 1),
    ],
)
def test_values_out_of_range_are_refused(config: type[Config], field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=f"1 validation error for {config.__name__}\n{field}\n"):
        config.model_validate({field: value})


@pytest.mark.parametrize("rest", [{"method": "anogan"}, {"cycle_x": 0.0}])
def test_g_and_e_need_something_to_learn_by(rest: dict[str, object]) -> None:
    assert TrainingConfig(adversarial=0.0).cycle_x
    with pytest.raises(
        ValidationError, match=r"learns nothing; give training\.adversarial above 0, or choose training\.method=bigan"
    ):
        TrainingConfig.model_validate({"adversarial": 0.0, **rest})


def test_the_papers_values_are_the_defaults() -> None:
    assert ScoreConfig().feature_weight == 0.1  # AnoGAN §2.2
    assert (TrainingConfig().beta1, TrainingConfig().method) == (0.5, Method.BIGAN)  # DCGAN §3


# What is not given follows from what is: of a section alone, and in a recipe, whose sections may be finished models.

Sections = dict[str, dict[str, object]]


def recipes(sections: Sections) -> list[Recipe]:
    """The same, of mappings, of JSON, and with every section given as a model."""
    kinds: dict[str, type[Config]] = {
        "network": NetworkConfig,
        "auxiliary": AuxiliaryConfig,
        "training": TrainingConfig,
        "search": SearchConfig,
        "score": ScoreConfig,
    }
    models = {name: kinds[name].model_validate(fields) for name, fields in sections.items()}
    return [
        Recipe.model_validate(sections),
        Recipe.model_validate_json(json.dumps(sections)),
        Recipe.model_validate(models),
    ]


@pytest.mark.parametrize(
    ("given_fields", "derived"),
    [
        ({}, {"loss": Loss.NON_SATURATING, "spectral_norm": True, "gradient_penalty": 0.0, "cycle_x": 50.0}),
        (
            {"method": "f-anogan"},
            {"loss": Loss.WASSERSTEIN, "gradient_penalty": 10.0, "clip_weights": 0.0, "spectral_norm": False},
        ),
        (
            {"method": "f-anogan", "clip_weights": 0.01},
            {"loss": Loss.WASSERSTEIN, "gradient_penalty": 0.0, "spectral_norm": False},
        ),
        (
            {"method": "f-anogan", "spectral_norm": True},
            {"loss": Loss.WASSERSTEIN, "gradient_penalty": 0.0, "spectral_norm": True},
        ),
        ({"method": "f-anogan", "gradient_penalty": 3.0}, {"gradient_penalty": 3.0, "spectral_norm": False}),
        ({"method": "alad"}, {"cycle_x": 0.0, "cycle_z": 0.0, "spectral_norm": True}),
        ({"method": "alad", "cycle_x": 2.0}, {"cycle_x": 2.0, "cycle_z": 0.0}),
        ({"gradient_penalty": 10.0}, {"spectral_norm": False}),
        ({"clip_weights": 0.01}, {"spectral_norm": False}),
        ({"gradient_penalty": 10.0, "spectral_norm": True}, {"spectral_norm": True}),
        ({"loss": "wasserstein"}, {"spectral_norm": True, "gradient_penalty": 0.0}),
    ],
)
def test_a_trainings_bounds_and_weights_follow_from_its_method_and_loss(
    given_fields: dict[str, object], derived: dict[str, object]
) -> None:
    alone = TrainingConfig.model_validate(given_fields)
    for training in (alone, *(recipe.training for recipe in recipes({"training": given_fields}))):
        assert {name: getattr(training, name) for name in derived} == derived
        assert training == alone


@pytest.mark.parametrize(
    ("given_fields", "expected"),
    [({}, 192), ({"width": 4}, 32), ({"width": 128}, 1024), ({"width": 4, "max_width": 8}, 8), ({"max_width": 64}, 64)],
)
def test_the_widest_layer_is_eight_times_as_wide_as_the_first_unless_given(
    given_fields: dict[str, object], expected: int
) -> None:
    assert NetworkConfig.model_validate(given_fields).max_width == expected
    for recipe in recipes({"network": given_fields}):
        assert recipe.network.max_width == recipe.plan.max_width == expected


def test_batch_norm_in_d_takes_the_place_of_spectral_norm_unless_that_is_given() -> None:
    for recipe in recipes({"network": {"discriminator_batch_norm": True}}):
        assert not recipe.training.spectral_norm
    for recipe in recipes({"network": {"discriminator_batch_norm": True}, "training": {"spectral_norm": True}}):
        assert recipe.training.spectral_norm
    for recipe in recipes({"network": {"discriminator_batch_norm": False}}):
        assert recipe.training.spectral_norm


def test_anogan_has_a_search_and_no_other_method_has() -> None:
    for recipe in recipes({"training": {"method": "anogan"}}):
        assert recipe.search == SearchConfig()
    for method in Method:
        if method is not Method.ANOGAN:
            assert all(recipe.search is None for recipe in recipes({"training": {"method": method.value}}))
    for recipe in recipes({"training": {"method": "anogan"}, "search": {"steps": 7}}):
        assert recipe.search == SearchConfig(steps=7)
    for recipe in recipes({"search": {"start": "encoder"}}):
        assert recipe.search == SearchConfig(start="encoder")


def test_a_search_of_no_steps_is_none() -> None:
    recipe = Recipe.model_validate({"search": {"steps": 0, "restarts": 4}})
    assert recipe.search is None
    assert recipe == Recipe()


def test_an_anogan_without_a_search_finds_latents_by_its_encoder() -> None:
    recipe = Recipe.model_validate({"training": {"method": "anogan"}, "search": {"steps": 0}})
    assert recipe.search is None
    assert recipe.plan.encoder
    assert recipe.needs_torch is None
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    with pytest.raises(ValidationError, match=r"search\.start=prior has none; give search\.start=encoder, or search"):
        Recipe.model_validate({"training": {"method": "anogan"}, "search": {"start": "prior", "steps": 0}})


@pytest.mark.parametrize("name", ["synthetic_defects", "rotation"])
def test_auxiliary_discriminators_make_the_score_unless_another_is_given(name: str) -> None:
    for recipe in recipes({"auxiliary": {name: True}}):
        assert recipe.score.combine == "auxiliary"
    for recipe in recipes({"auxiliary": {name: True}, "score": {"feature_weight": 0.2}}):
        assert (recipe.score.combine, recipe.score.feature_weight) == ("auxiliary", 0.2)
    for recipe in recipes({"auxiliary": {name: True}, "score": {"combine": "mahalanobis"}}):
        assert recipe.score.combine == "mahalanobis"
    for recipe in recipes({"auxiliary": {name: False}}):
        assert recipe.score.combine == "mahalanobis"


FULL: list[Sections] = [
    {},
    {"training": {"method": "f-anogan", "steps": 7}},
    {"training": {"method": "alad"}},
    {"training": {"method": "anogan"}, "search": {"start": "prior", "restarts": 3}},
    {"training": {"method": "autoencoder", "precision": "auto"}},
    {"auxiliary": {"synthetic_defects": True, "memory_bank": 9}, "score": {"precision": "bf16"}},
    {"network": {"discriminator_batch_norm": True, "width": 8}},
    {"preprocess": {"size": 28, "channels": 3}, "network": {"architecture": "mlp", "hidden": [32, 16]}},
]


@pytest.mark.parametrize("sections", FULL)
def test_a_recipe_survives_json_and_python(sections: Sections) -> None:
    """What followed once is given afterwards, and stays."""
    recipe = Recipe.model_validate(sections)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert Recipe.model_validate(recipe.model_dump()) == recipe
    assert Recipe.model_validate(dict(recipe)) == recipe
    assert Recipe.model_validate(recipe) == recipe


@pytest.mark.parametrize(
    ("method", "search", "expected"),
    [
        ("bigan", None, ("D", "E", "joint")),
        ("alad", None, ("D", "E", "joint", "cycles")),
        ("autoencoder", None, ("E",)),
        ("f-anogan", None, ("D", "E")),
        ("anogan", {"start": "encoder"}, ("D", "E")),
        ("anogan", {"start": "prior"}, ("D",)),
        ("bigan", {"start": "prior"}, ("D", "E", "joint")),
    ],
)
def test_the_plan_has_the_networks_that_method_and_search_ask_for(
    method: str, search: dict[str, object] | None, expected: tuple[str, ...]
) -> None:
    sections: Sections = {"training": {"method": method}}
    if search is not None:
        sections["search"] = search
    plan = Recipe.model_validate(sections).plan
    there = {"D": plan.discriminator, "E": plan.encoder, "joint": plan.joint, "cycles": plan.cycle_discriminators}
    assert tuple(name for name, is_there in there.items() if is_there) == expected


def test_the_plan_has_the_shapes_and_auxiliaries_of_the_sections() -> None:
    recipe = Recipe.model_validate(
        {
            "preprocess": {"size": 64, "channels": 3},
            "network": {"latent_dim": 5, "width": 8},
            "auxiliary": {"synthetic_defects": True, "memory_bank": 7, "rotation": True},
        }
    )
    plan = recipe.plan
    assert (plan.size, plan.channels, plan.latent_dim, plan.width, plan.max_width) == (64, 3, 5, 8, 64)
    assert {name: getattr(plan, name) for name in AuxiliaryConfig.model_fields} == dict(recipe.auxiliary)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"preprocess": {"size": 100}}, "100 does not fit; choose one of 8, 16, 32, 64, 128, 256, or network"),
        (
            {"preprocess": {"size": 64}, "network": {"architecture": "lenet"}, "training": {"method": "anogan"}},
            r"LeNet-5 sees 32 × 32 pixels, not 64; choose 32, or network\.architecture=dcgan",
        ),
        (
            {"preprocess": {"size": 16}, "network": {"phi": True}},
            "so 16 does not fit; choose a side of at least 32",
        ),
        (
            {"preprocess": {"size": 72}, "network": {"architecture": "mlp", "phi": True}},
            r"72 does not fit; choose a side of at least 32 that is a multiple of 16, or network\.phi=false",
        ),
        ({"training": {"method": "features"}, "network": {"phi": True}}, "and a φ anyway; leave network.phi away"),
        (
            {"training": {"method": "features"}, "preprocess": {"size": 32}, "features": {"restorer": True}},
            r"multiple of 64, so 32 does not fit; choose one of 64, 128, 192, 256, or features\.restorer=false",
        ),
        (
            {
                "training": {"method": "features"},
                "preprocess": {"size": 192},
                "features": {"restorer": True, "half_restorer": True},
            },
            r"multiple of 128, so 192 does not fit; choose one of 128, 256, or features\.half_restorer=false",
        ),
        (
            {
                "training": {"method": "features"},
                "preprocess": {"size": 96},
                "features": {"restorer": True, "half_restorer": True},
            },
            r"of 64, so 96 .* one of 128, 256, or features\.restorer=false and features\.half_restorer=false",
        ),
        (  # without a restorer it would not fit either
            {"training": {"method": "features"}, "preprocess": {"size": 100}, "features": {"restorer": True}},
            r"of 64, so 100 does not fit; choose one of 64, 128, 192, 256(?!, or)",
        ),
        (
            {
                "training": {"method": "features"},
                "preprocess": {"resize": "whole"},
                "features": {"half_restorer": True},
            },
            r"\(features\.half_restorer\) sees squares .*, or choose features\.half_restorer=false, or the recipe",
        ),
        (
            {"training": {"method": "features"}, "preprocess": {"resize": "whole"}, "features": {"restorer": True}},
            r"squares of one size; leave preprocess\.resize=whole away, or choose features\.restorer=false, or the rec",
        ),
        (
            {"training": {"method": "features"}, "features": {"memory": 0, "discriminator": False}},
            "without memory, discriminator and restorers there is no evidence; give one of them",
        ),
        (
            {"network": {"architecture": "lenet"}},
            r"LeNet-5 judges images, not pairs .*training\.method=anogan or f-anogan",
        ),
        (
            {"network": {"architecture": "mlp", "discriminator_batch_norm": True}},
            r"batch norm in D is DCGAN's; choose network\.architecture=dcgan",
        ),
        (
            {"preprocess": {"size": 28}, "network": {"architecture": "mlp"}, "auxiliary": {"rotation": True}},
            r"28 does not fit; choose a multiple of 8, or auxiliary\.rotation=false",
        ),
        (
            {"auxiliary": {"memory_bank": 5}},
            r"set auxiliary\.synthetic_defects=true too, or auxiliary\.memory_bank=0",
        ),
        (
            {"training": {"method": "alad"}, "search": {}},
            "alad finds latents by its encoder, .* leave the section search away",
        ),
        ({"training": {"method": "autoencoder"}, "search": {}}, "autoencoder finds latents by its encoder"),
        (
            {"training": {"loss": "hinge"}, "search": {"objective": "saturating"}},
            r"a hinge critic gives no probability .*choose search\.objective=feature-matching",
        ),
        (
            {"training": {"method": "anogan"}, "score": {"precision": "bf16"}},
            r"magnifies step by step what bf16 rounds; leave score\.precision away",
        ),
        (
            {"score": {"combine": "auxiliary"}},
            r"no auxiliary discriminator to make the score; set auxiliary\.synthetic_defects=true or ",
        ),
        (
            {"network": {"discriminator_batch_norm": True}, "training": {"gradient_penalty": 10.0}},
            r"leave network\.discriminator_batch_norm away, or bound the critic by training\.clip_weights=0\.01",
        ),
        (
            {"training": {"clip_weights": 0.01, "gradient_penalty": 10.0}},
            "weight clipping and the gradient penalty bound the same thing; choose one of them",
        ),
        (
            {"training": {"loss": "wasserstein", "spectral_norm": False}},
            r"a Wasserstein critic needs a bound on its slope; give training\.gradient_penalty=10",
        ),
        (
            {"training": {"method": "f-anogan", "loss": "hinge"}},
            r"f-anogan's first half is a Wasserstein GAN, not hinge; choose training\.loss=wasserstein",
        ),
    ],
)
def test_what_does_not_fit_is_said_once_with_what_to_choose(sections: Sections, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        Recipe.model_validate(sections)
    assert caught.value.error_count() == 1


@pytest.mark.parametrize("text", ["", "no PNG", "aGFsbG8=", encode_region(np.zeros((4, 4), np.bool_))])
def test_a_text_that_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="region"):
        PreprocessConfig(region=text)


def test_a_region_of_very_many_pixels_is_refused_before_it_is_unpacked() -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    with pytest.raises(ValidationError, match="give the mask with --region"):
        PreprocessConfig(region=base64.b64encode(png).decode())


@pytest.mark.parametrize(
    ("num_inside", "told"), [(1, "less than 1% of"), (100, "1% of"), (9_900, "99% of"), (9_999, "more than 99% of")]
)
def test_a_region_is_never_said_to_be_nothing_or_all(num_inside: int, told: str) -> None:
    inside = (np.arange(10_000) < num_inside).reshape(100, 100)
    assert (region_note(encode_region(inside)) or "").startswith(told)


def test_a_region_is_kept_as_it_was_drawn() -> None:
    inside = np.random.default_rng(0).random((37, 53)) < 0.3
    assert np.array_equal(decode_region(encode_region(inside)), inside)
    assert PreprocessConfig(region=encode_region(inside)).region == encode_region(inside)
