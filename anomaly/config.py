"""What a user may choose, and the defaults that work.

These models are the borders' language: the command line fills them, the manifest of a bundle stores them, and the
code inside reads them. Unknown fields are refused, so that a manifest of a later version fails loudly.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


class Method(StrEnum):
    """How the latent of an image is found."""

    BIGAN = "bigan"
    ANOGAN = "anogan"


class Resize(StrEnum):
    """How an image of another shape becomes a square.

    PAD keeps all of the image and its aspect ratio, and repeats its edge pixels to fill the square.
    CROP keeps the aspect ratio and the middle of the image. STRETCH keeps all of the image and squashes it.
    """

    PAD = "pad"
    CROP = "crop"
    STRETCH = "stretch"


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError(f"{value} is not a power of two; choose one of 8, 16, 32, 64, 128, 256")
    return value


Side = Annotated[int, Field(ge=8, le=256), AfterValidator(_power_of_two)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Config(BaseModel):
    """Base of all configuration: frozen, and strict about unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PreprocessConfig(Config):
    """From any image to `channels` × `size` × `size` 8-bit pixels."""

    size: Side = 32
    channels: Literal[1, 3] = 1
    resize: Resize = Resize.PAD


class NetworkConfig(Config):
    """Shapes of G, E and D. Layer widths double as the side halves, from `width` up to `max_width`."""

    size: Side = 32
    channels: Literal[1, 3] = 1
    latent_dim: int = Field(default=16, ge=1, le=1024)
    width: int = Field(default=24, ge=4, le=512)
    max_width: int = Field(default=192, ge=4, le=2048)
    encoder: bool = True
    joint: bool = True

    @model_validator(mode="after")
    def _joint_needs_encoder(self) -> Self:
        if self.joint and not self.encoder:
            raise ValueError("a joint discriminator D(x, z) needs an encoder; set encoder to true")
        return self


class TrainingConfig(Config):
    """One training run. `cycle_x` weighs mean |x − G(E(x))|, `cycle_z` weighs mean (z − E(G(z)))²."""

    method: Method = Method.BIGAN
    steps: int = Field(default=3000, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=4e-4, gt=0.0)
    beta1: float = Field(default=0.5, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0)
    ema_decay: float = Field(default=0.999, ge=0.0, lt=1.0)
    spectral_norm: bool = True
    cycle_x: float = Field(default=50.0, ge=0.0)
    cycle_z: float = Field(default=0.5, ge=0.0)
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = Field(default=0, ge=0, lt=2**31)


class SearchConfig(Config):
    """Latent search: Adam from `restarts` starts an image, each for at most `steps` steps.

    An image stops early when its best loss has fallen by less than the share `tolerance` in the last `patience` steps.
    """

    start: Literal["prior", "encoder"] = "prior"
    steps: int = Field(default=200, ge=1)
    restarts: int = Field(default=2, ge=1, le=64)
    learning_rate: float = Field(default=0.1, gt=0.0)
    patience: int = Field(default=30, ge=1)
    tolerance: float = Field(default=0.01, ge=0.0, lt=1.0)


class ScoreConfig(Config):
    """How the terms become one score.

    "mahalanobis" is the distance of the vector of all terms from those of the *select* normals; "paper" is
    A(x) = (1 − λ)·R(x) + λ·F(x) with sums, as AnoGAN §2.2 has it. λ is `feature_weight`, in the latent search too.
    """

    combine: Literal["mahalanobis", "paper"] = "mahalanobis"
    feature_weight: float = Field(default=0.1, ge=0.0, le=1.0)
