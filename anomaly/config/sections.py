"""The sections of a recipe, with the defaults that work. What is not given follows from what is, in the validators."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from anomaly.config.choices import Architecture, Loss, Method, Place, Precision, Prior, Resize
from anomaly.config.places import evidence_names

MAX_REMEMBERED = 1024  # images: at side 256 they take 134 MB of a file, and 268 of memory
MAX_SIDE = 256  # of a square of pixels
Side = Annotated[int, Field(ge=2, le=MAX_SIDE)]
Given = Any
"""What a validator gets before fields are read: a mapping of those that are given, or a finished model."""


def _check_precision(value: Given) -> Given:
    """One sentence, where the members of the union would say one each."""
    if value not in (*Precision, "auto"):
        raise ValueError(f"choose one of {', '.join(Precision)}, auto")
    return value


class Config(BaseModel):
    """Base of all configuration: frozen, and strict about unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PreprocessConfig(Config):
    """From any image to `channels` × `size` × `size` 8-bit pixels.

    With resize="whole" there is no square: `size` is not used, and a picture is shrunk by `scale`, which "auto" chooses
    by what fits the time. `range` is the number of bits that pictures of 16 bits use; 8-bit pictures are themselves,
    whatever it is.
    `region` is the part of each picture that is evidence (see `config.region`); None for all of it.
    """

    size: Side = 32
    channels: Literal[1, 3] = 1
    resize: Resize = Resize.PAD
    scale: Annotated[float, Field(gt=0.0, le=1.0)] | Literal["auto"] = "auto"
    range: Literal[8, 10, 12, 14, 16] = 16
    region: str | None = None

    @property
    def side(self) -> int | None:
        """Height and width of all pictures; None where each keeps its shape."""
        return None if self.resize is Resize.WHOLE else self.size

    @field_validator("region")
    @classmethod
    def _is_region(cls, text: str | None) -> str | None:
        if text is not None:
            from anomaly.config.region import decode_region  # here, so that help does not wait for PIL

            decode_region(text)
        return text


class NetworkConfig(Config):
    """How G, E and D are built.

    DCGAN: layer widths double as the side halves, from `width` up to `max_width`, eight times as much unless given.
    MLP: `hidden` are D's and E's layers and, backwards, G's; `leak` is their slope below 0 (0: ReLU), `dropout` is D's.
    With `phi` there is a frozen pretrained network φ beside them: its maps are features f that are matched, as D's are.
    """

    architecture: Architecture = Architecture.DCGAN
    latent_dim: int = Field(default=16, ge=1, le=1024)
    prior: Prior = Prior.GAUSSIAN
    width: int = Field(default=24, ge=4, le=512)
    max_width: int = Field(default=192, ge=4, le=4096)
    hidden: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(default=(1024, 256), min_length=1)
    leak: float = Field(default=0.0, ge=0.0, lt=1.0)
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    discriminator_batch_norm: bool = False
    phi: bool = False

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, given: Given) -> Given:
        if isinstance(given, dict) and isinstance(width := given.get("width"), int):
            return {"max_width": 8 * width, **given}
        return given


class AuxiliaryConfig(Config):
    """Discriminators that take no part in the game, but learn beside it.

    `synthetic_defects`: D_patch learns where images are abnormal, from normal images with defects drawn into them.
    `memory_bank`: after training, features of at most so many training images are kept; 0 for none.
    `rotation`: D_rotation learns by how many quarter turns normal images were rotated.
    """

    synthetic_defects: bool = False
    memory_bank: int = Field(default=0, ge=0, le=MAX_REMEMBERED)
    rotation: bool = False

    @classmethod
    def discriminators(cls) -> list[str]:
        """The fields that say whether there is one: each is the name of an auxiliary discriminator."""
        return [name for name, field in cls.model_fields.items() if field.annotation is bool]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.memory_bank and not self.synthetic_defects:
            raise ValueError(
                "the memory bank keeps features of the discriminator of synthetic defects; set "
                "auxiliary.synthetic_defects=true too, or auxiliary.memory_bank=0"
            )
        return self


class FeaturesConfig(Config):
    """What `training.method="features"` learns from the maps of a pretrained network.

    `memory` is how many places of normal images are remembered, of which the nearest counts; 0 for no memory. They are
    remembered by the map at 1/16 ("coarse"), or by those at 1/8 and 1/16 ("both"): `memory_maps`. `places`
    says which of them a place is compared with; where it is "same", `memory_per_place` are remembered for each of
    `memory_cells` × `memory_cells` cells of the picture (with 16 these are places of 16 pixels), and where it is
    "aligned", mean and deviation at `memory_grid` × `memory_grid` points of the object. "auto" takes "aligned" only
    where the normals lie alike.
    With `restorer` E and G learn to restore the maps of whole pictures, of which they keep little: what they can't
    restore is evidence. `half_restorer` is another one, of the picture at half its size. Where spoilt *select* normals
    are told clearly better without the memory, the discriminator or a restorer, it is dropped: `memory` is 0 then, or
    the other false.

    `standardise` says whether the evidence of a place is measured by what normals show at this place or anywhere.
    "auto" takes what tells spoilt *select* normals best. With `discriminator` one learns to tell normal places from
    negatives: normal ones moved by noise of `sigma` deviations ("auto": chosen alike), and, for the share `spoilt` of
    them, places of images with synthetic defects. With `points` it sees the map at 1/4 too, point by point, and the
    synthetic defects are small and many: for defects of a few pixels.

    Training replaces what it chooses. So in a bundle this is what was learnt, and the numbers of remembered places are
    those that there were. What is "auto" there was not needed, as `places` without a memory. `labelled` is true where
    `anomaly refine` has taught labelled defects; no training sets it.
    """

    memory: int = Field(default=4096, ge=0, le=65536)
    memory_maps: Literal["coarse", "both"] = "coarse"
    memory_per_place: int = Field(default=64, ge=1, le=1024)
    memory_cells: Literal[16, 32] = 32
    memory_grid: int = Field(default=320, ge=16, le=512)
    places: Place | Literal["auto"] = "auto"
    standardise: Literal["auto", "place", "anywhere"] = "auto"
    discriminator: bool = True
    points: bool = False
    restorer: bool = False
    half_restorer: bool = False
    sigma: Annotated[float, Field(gt=0.0, le=10.0)] | Literal["auto"] = "auto"
    spoilt: float = Field(default=0.0, ge=0.0, le=1.0)
    labelled: bool = False

    @property
    def num_measured(self) -> int:
        """How many kinds of evidence are measured by what normals show; the last ones are of restorers."""
        return 4 if self.half_restorer else 3 if self.restorer else 2

    @property
    def evidence(self) -> tuple[str, ...]:
        """See `evidence_names`."""
        return evidence_names(self.num_measured, is_refined=self.labelled)

    @model_validator(mode="after")
    def _has_evidence(self) -> Self:
        if not (self.memory or self.discriminator or self.restorer or self.half_restorer):
            raise ValueError("without memory, discriminator and restorers there is no evidence; give one of them")
        return self


class TrainingConfig(Config):
    """One training run. `cycle_x` weighs mean |x − G(E(x))|, `cycle_z` weighs mean (z − E(G(z)))².

    `adversarial` weighs the game in the loss of G and E; with 0 they learn by the cycles alone, while D learns to tell.

    Each step moves D `d_steps` times, then G (and E) `g_steps` times. A Wasserstein critic is held to
    Lipschitz's bound by `gradient_penalty` (its weight), by `clip_weights` (the largest absolute weight) or by
    `spectral_norm`. `keep` says which averaged networks are kept: the last, or the best by the stop criterion.
    With `augment` each training image is moved a little, differently each time. `precision` is of the training alone;
    "auto" is bf16 where the device is fast at it.

    Not given, these follow: f-AnoGAN's game is a WGAN-GP; ALAD's discriminators take the place of the cycle terms; what
    bounds D in another way needs no spectral norm.
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
    precision: Annotated[Precision | Literal["auto"], BeforeValidator(_check_precision)] = Precision.FP32
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, given: Given) -> Given:
        if not isinstance(given, dict):
            return given
        derived: dict[str, object] = {}
        if given.get("method") == Method.F_ANOGAN:
            derived["loss"] = Loss.WASSERSTEIN
            if not given.get("clip_weights") and not given.get("spectral_norm"):
                derived["gradient_penalty"] = 10.0
        if given.get("method") == Method.ALAD:
            derived |= {"cycle_x": 0.0, "cycle_z": 0.0}
        chosen = derived | given
        if chosen.get("gradient_penalty") or chosen.get("clip_weights"):
            derived["spectral_norm"] = False
        return derived | given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.adversarial and (self.method is not Method.BIGAN or not self.cycle_x):
            raise ValueError(
                f"without the game's loss {self.method} learns nothing; give training.adversarial above 0, or choose "
                "training.method=bigan with training.cycle_x above 0"
            )
        if self.clip_weights and self.gradient_penalty:
            raise ValueError("weight clipping and the gradient penalty bound the same thing; choose one of them")
        if self.loss is Loss.WASSERSTEIN and not (self.clip_weights or self.gradient_penalty or self.spectral_norm):
            raise ValueError(
                "a Wasserstein critic needs a bound on its slope; give training.gradient_penalty=10, "
                "training.clip_weights=0.01, or training.spectral_norm=true"
            )
        if self.method is Method.F_ANOGAN and self.loss is not Loss.WASSERSTEIN:
            raise ValueError(
                f"f-anogan's first half is a Wasserstein GAN, not {self.loss}; choose training.loss=wasserstein"
            )
        return self


class SearchConfig(Config):
    """Latent search: Adam from `restarts` starts an image, each for at most `steps` steps.

    From the latent that an encoder proposes few steps are enough; from draws of the prior it takes hundreds.
    It minimises (1 − λ)·R(x) + λ·L, where L is, by `objective`: F(x), AnoGAN's second form; or its first form, as
    "cross-entropy", −log D(G(z)), or as "saturating", Yeh's log(1 − D(G(z))). An image stops early when its best
    loss has fallen by less than the share `tolerance` in the last `patience` steps. With `pairs` BiGAN's D and its
    features are those of (x, z), as in the score; without, as in models made before 0.3.1, D is that of (G(z), z), and
    features of x are those of (x, 0).
    """

    objective: Literal["feature-matching", "cross-entropy", "saturating"] = "feature-matching"
    start: Literal["prior", "encoder"] = "encoder"
    steps: int = Field(default=30, ge=1)
    restarts: int = Field(default=1, ge=1, le=64)
    learning_rate: float = Field(default=0.2, gt=0.0)
    patience: int = Field(default=30, ge=1)
    tolerance: float = Field(default=0.01, ge=0.0, lt=1.0)
    pairs: bool = True


class ScoreConfig(Config):
    """How the terms become one score.

    "mahalanobis" is the distance of the vector of all terms from those of the *select* normals; "auxiliary" is how far
    the terms of the auxiliary discriminators lie above these normals', and a tenth of that distance, and is the default
    where there are any; "paper" is the score of the method's own paper, for AnoGAN and BiGAN A(x) = (1 − λ)·R(x) +
    λ·F(x); "strongest-place" is the evidence of the most anomalous place, and that of the method "features". λ is
    `feature_weight`, in the latent search too; `feature_layer` names the layer f of F(x); by default one of the
    pretrained network's where there is one, else the last of D's that has maps. The networks score in `precision`.
    """

    combine: Literal["mahalanobis", "auxiliary", "paper", "strongest-place"] = "mahalanobis"
    feature_weight: float = Field(default=0.1, ge=0.0, le=1.0)
    feature_layer: str | None = None
    precision: Precision = Precision.FP32
