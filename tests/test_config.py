import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anomaly.config import (
    Architecture,
    Config,
    Method,
    NetworkConfig,
    PreprocessConfig,
    ScoreConfig,
    SearchConfig,
    TrainingConfig,
)

ALL: list[type[Config]] = [PreprocessConfig, NetworkConfig, TrainingConfig, SearchConfig, ScoreConfig]
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
        assert NetworkConfig(size=size).size == size
    else:
        with pytest.raises(ValidationError):
            NetworkConfig(size=size)


@given(st.integers(-10, 1000))
def test_an_mlps_sides_go_from_2_to_256(size: int) -> None:
    if 2 <= size <= 256:
        assert PreprocessConfig(size=size).size == NetworkConfig(size=size, architecture=Architecture.MLP).size == size
    else:
        for config in (PreprocessConfig, NetworkConfig):
            with pytest.raises(ValidationError, match="size\n"):
                config.model_validate({"size": size, **({"architecture": "mlp"} if config is NetworkConfig else {})})


def test_a_side_between_says_which_to_choose() -> None:
    with pytest.raises(
        ValidationError, match="100 does not fit; choose one of 8, 16, 32, 64, 128, 256, or --network mlp"
    ):
        NetworkConfig(size=100)


def test_a_joint_discriminator_needs_an_encoder() -> None:
    with pytest.raises(ValidationError, match="needs an encoder; set encoder to true"):
        NetworkConfig(joint=True, encoder=False)
    assert not NetworkConfig(joint=False, encoder=False).encoder


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (PreprocessConfig, "channels", 2),
        (PreprocessConfig, "resize", "squash"),
        (NetworkConfig, "channels", 4),
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
    ],
)
def test_values_out_of_range_are_refused(config: type[Config], field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=f"1 validation error for {config.__name__}\n{field}\n"):
        config.model_validate({field: value})


@pytest.mark.parametrize("rest", [{"method": "anogan"}, {"cycle_x": 0.0}])
def test_g_and_e_need_something_to_learn_by(rest: dict[str, object]) -> None:
    assert TrainingConfig(adversarial=0.0).cycle_x
    with pytest.raises(ValidationError, match="learns nothing; give --adversarial above 0, or choose --method bigan"):
        TrainingConfig.model_validate({"adversarial": 0.0, **rest})


def test_the_papers_values_are_the_defaults() -> None:
    assert ScoreConfig().feature_weight == 0.1  # AnoGAN §2.2
    assert (TrainingConfig().beta1, TrainingConfig().method) == (0.5, Method.BIGAN)  # DCGAN §3
