"""What a user may choose, and the defaults that work.

These models are the borders' language: the command line fills them, the manifest of a bundle stores them, and the
code inside reads them. Unknown fields are refused, so that a manifest of a later version fails loudly.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Method(StrEnum):
    """What is learnt, and how the latent of an image is found.

    AUTOENCODER has no game: E and G learn to reconstruct. ANOGAN plays the GAN's game and searches latents. F_ANOGAN
    plays it first, then learns an encoder. BIGAN plays the game on pairs (x, z). ALAD is a BIGAN with two more
    discriminators, of cycles.
    """

    BIGAN = "bigan"
    ANOGAN = "anogan"
    F_ANOGAN = "f-anogan"
    ALAD = "alad"
    AUTOENCODER = "autoencoder"


class Architecture(StrEnum):
    """DCGAN: convolutions throughout. MLP: fully connected layers. LENET: a LeNet-5 as D beside DCGAN's G."""

    DCGAN = "dcgan"
    MLP = "mlp"
    LENET = "lenet"


class Loss(StrEnum):
    """What D and G play for. The first two judge by probabilities, the last two by a critic's unbounded output."""

    MINIMAX = "minimax"
    NON_SATURATING = "non-saturating"
    WASSERSTEIN = "wasserstein"
    HINGE = "hinge"

    @property
    def has_critic(self) -> bool:
        """Whether D's output is no logit of a probability."""
        return self in (Loss.WASSERSTEIN, Loss.HINGE)


class Prior(StrEnum):
    """Where z comes from: N(0, 1), or uniform in [-1, 1], in each dimension."""

    GAUSSIAN = "gaussian"
    UNIFORM = "uniform"


class Precision(StrEnum):
    """What networks compute in: FP32 is IEEE's, BF16 has its range with 8 instead of 24 bits, and half its cost."""

    FP32 = "fp32"
    BF16 = "bf16"


class Resize(StrEnum):
    """How an image of another shape becomes a square.

    PAD keeps all of the image and its aspect ratio, and repeats its edge pixels to fill the square.
    CROP keeps the aspect ratio and the middle of the image. STRETCH keeps all of the image and squashes it.
    """

    PAD = "pad"
    CROP = "crop"
    STRETCH = "stretch"


MAX_REMEMBERED = 1024  # images: at side 256 they take 134 MB of a file, and 268 of memory
Side = Annotated[int, Field(ge=2, le=256)]
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
    """Shapes of G, E and D.

    `patch_discriminator`: beside these there is D_patch, which learns from spoilt normals where an image is abnormal,
    and, once it has, `num_remembered` normal images in its features.
    `turn_discriminator`: and D_turn, which learns how normals are turned.
    DCGAN: layer widths double as the side halves, from `width` up to `max_width`. MLP: `hidden` are D's and E's layers
    and, backwards, G's; `leak` is their slope below 0 (0: ReLU), `dropout` is D's.
    """

    architecture: Architecture = Architecture.DCGAN
    size: Side = 32
    channels: Literal[1, 3] = 1
    latent_dim: int = Field(default=16, ge=1, le=1024)
    prior: Prior = Prior.GAUSSIAN
    width: int = Field(default=24, ge=4, le=512)
    max_width: int = Field(default=192, ge=4, le=2048)
    hidden: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(default=(1024, 256), min_length=1)
    leak: float = Field(default=0.0, ge=0.0, lt=1.0)
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    encoder: bool = True
    discriminator: bool = True
    joint: bool = True
    cycle_discriminators: bool = False
    patch_discriminator: bool = False
    num_remembered: int = Field(default=0, ge=0, le=MAX_REMEMBERED)
    turn_discriminator: bool = False
    discriminator_batch_norm: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        size = self.size
        if self.architecture is Architecture.DCGAN and (size & (size - 1) or size < 8):
            raise ValueError(
                f"a DCGAN halves the side down to 4, so {size} does not fit; choose one of 8, 16, 32, 64, 128, 256, "
                "or --network mlp, which takes any side"
            )
        if self.architecture is Architecture.LENET and size != 32:
            raise ValueError(f"LeNet-5 sees 32 × 32 pixels, not {size}; choose 32, or --network dcgan")
        if self.architecture is Architecture.LENET and (self.joint or self.cycle_discriminators):
            raise ValueError(
                "LeNet-5 judges images, not pairs (x, z); choose --method anogan or f-anogan, or --network dcgan"
            )
        if self.discriminator_batch_norm and self.architecture is not Architecture.DCGAN:
            raise ValueError(
                "batch norm in D is DCGAN's; choose --network dcgan, or leave --discriminator-batch-norm away"
            )
        if self.joint and not self.encoder:
            raise ValueError("a joint discriminator D(x, z) needs an encoder; set encoder to true")
        if self.cycle_discriminators and not self.joint:
            raise ValueError("cycle discriminators stand beside a joint one; set joint to true")
        if self.patch_discriminator and self.size % 8:
            raise ValueError(
                f"the patch discriminator halves the side three times, so {self.size} does not fit; choose a multiple "
                "of 8, or leave --negatives away"
            )
        if self.num_remembered and not self.patch_discriminator:
            raise ValueError("images are remembered in the features of a patch discriminator; set patch_discriminator")
        if self.turn_discriminator and self.size % 8:
            raise ValueError(
                f"the turn discriminator halves the side three times, so {self.size} does not fit; choose a multiple "
                "of 8, or leave --turns away"
            )
        if self.joint and not self.discriminator:
            raise ValueError("a joint discriminator is one; set discriminator to true")
        return self


class TrainingConfig(Config):
    """One training run. `cycle_x` weighs mean |x − G(E(x))|, `cycle_z` weighs mean (z − E(G(z)))².

    `adversarial` weighs the game in the loss of G and E; with 0 they learn by the cycles alone, while D learns to tell.

    Each step moves D `d_steps` times, then G (and E) `g_steps` times. A Wasserstein critic is held to
    Lipschitz's bound by `gradient_penalty` (its weight), by `clip_weights` (the largest absolute weight) or by
    `spectral_norm`. `keep` says which averaged networks are kept: the last, or the best by the stop criterion.
    With `augment` no two images trained on are alike: each is moved a little, anew each time.
    """

    method: Method = Method.BIGAN
    loss: Loss = Loss.NON_SATURATING
    steps: int = Field(default=3000, ge=1)
    d_steps: int = Field(default=1, ge=1, le=100)
    g_steps: int = Field(default=1, ge=1, le=100)
    batch_size: int = Field(default=64, ge=2)
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(default=4e-4, gt=0.0)
    beta1: float = Field(default=0.5, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0)
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    ema_decay: float = Field(default=0.999, ge=0.0, lt=1.0)
    spectral_norm: bool = True
    gradient_penalty: float = Field(default=0.0, ge=0.0)
    clip_weights: float = Field(default=0.0, ge=0.0)
    keep: Literal["last", "best"] = "last"
    augment: bool = False
    adversarial: float = Field(default=1.0, ge=0.0)
    cycle_x: float = Field(default=50.0, ge=0.0)
    cycle_z: float = Field(default=0.5, ge=0.0)
    precision: Precision = Precision.FP32
    seed: int = Field(default=0, ge=0, lt=2**31)

    @classmethod
    def choose(cls, chosen: Mapping[str, object]) -> Self:
        """What is None or not given is the method's default.

        f-AnoGAN's game is a WGAN-GP; ALAD's discriminators take the place of the cycle terms; what bounds D in another
        way needs no spectral norm.
        """
        given = {name: value for name, value in chosen.items() if value is not None}
        if given.get("method") == Method.F_ANOGAN:
            given = {"loss": Loss.WASSERSTEIN, **given}
            if not given.get("clip_weights") and not given.get("spectral_norm"):
                given = {"gradient_penalty": 10.0, **given}
        if given.get("method") == Method.ALAD:
            given = {"cycle_x": 0.0, "cycle_z": 0.0, **given}
        bounded = bool(given.get("gradient_penalty") or given.get("clip_weights"))
        return cls.model_validate({"spectral_norm": not bounded, **given})

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.adversarial and (self.method is not Method.BIGAN or not self.cycle_x):
            raise ValueError(
                f"without the game's loss {self.method} learns nothing; give --adversarial above 0, or choose "
                "--method bigan with --cycle-x above 0"
            )
        if self.clip_weights and self.gradient_penalty:
            raise ValueError("weight clipping and the gradient penalty bound the same thing; choose one of them")
        if self.loss is Loss.WASSERSTEIN and not (self.clip_weights or self.gradient_penalty or self.spectral_norm):
            raise ValueError(
                "a Wasserstein critic needs a bound on its slope; give --gradient-penalty 10, --clip-weights 0.01, or "
                "--spectral-norm"
            )
        if self.method is Method.F_ANOGAN and self.loss is not Loss.WASSERSTEIN:
            raise ValueError(f"f-anogan's first half is a Wasserstein GAN, not {self.loss}; choose --loss wasserstein")
        return self


class SearchConfig(Config):
    """Latent search: Adam from `restarts` starts an image, each for at most `steps` steps.

    From the latent that an encoder proposes few steps are enough; from draws of the prior it takes hundreds.
    It minimises (1 − λ)·R(x) + λ·L, where L is, by `objective`: F(x), AnoGAN's second form; or its first form, as
    "cross-entropy", −log D(G(z)), or as "saturating", Yeh's log(1 − D(G(z))). An image stops early when its best
    loss has fallen by less than the share `tolerance` in the last `patience` steps.
    """

    objective: Literal["feature-matching", "cross-entropy", "saturating"] = "feature-matching"
    start: Literal["prior", "encoder"] = "encoder"
    steps: int = Field(default=30, ge=1)
    restarts: int = Field(default=1, ge=1, le=64)
    learning_rate: float = Field(default=0.2, gt=0.0)
    patience: int = Field(default=30, ge=1)
    tolerance: float = Field(default=0.01, ge=0.0, lt=1.0)


class ScoreConfig(Config):
    """How the terms become one score.

    "mahalanobis" is the distance of the vector of all terms from those of the *select* normals; "taught" is how far
    the terms of D_patch and D_turn lie above these normals', and a tenth of that distance; "paper" is the score of the
    method's own paper, for AnoGAN and BiGAN A(x) = (1 − λ)·R(x) + λ·F(x). λ is `feature_weight`, in the latent
    search too.
    """

    combine: Literal["mahalanobis", "taught", "paper"] = "mahalanobis"
    feature_weight: float = Field(default=0.1, ge=0.0, le=1.0)
