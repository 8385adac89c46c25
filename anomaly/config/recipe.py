"""A recipe: everything that decides what is learnt from given images; and the networks that it needs."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import ValidationError, model_validator

from anomaly.config.choices import Architecture, Method, Precision, Resize
from anomaly.config.mistakes import mistakes_of
from anomaly.config.places import HALF_RESTORED_STRIDE, RESTORED_STRIDE, STRIDE
from anomaly.config.sections import (
    MAX_SIDE,
    AuxiliaryConfig,
    Config,
    FeaturesConfig,
    Given,
    NetworkConfig,
    PreprocessConfig,
    ScoreConfig,
    SearchConfig,
    Side,
    TrainingConfig,
)


class NetworkPlan(NetworkConfig, AuxiliaryConfig):
    """Everything that decides which networks there are, and their shapes; `Recipe.plan` makes it from the sections.

    With `has_region` pixels that are grey lie outside of a region, and what auxiliary discriminators draw stays inside.
    """

    size: Side = 32
    channels: Literal[1, 3] = 1
    encoder: bool = True
    discriminator: bool = True
    joint: bool = True
    cycle_discriminators: bool = False
    has_region: bool = False

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        size = self.size
        if self.architecture is Architecture.DCGAN and (size & (size - 1) or size < 8):
            others_take_it = not (self.phi or self.synthetic_defects or self.rotation)
            mlp = ", or network.architecture=mlp, which takes any side" if others_take_it else ""
            raise ValueError(
                f"a DCGAN halves the side down to 4, so {size} does not fit; choose one of 8, 16, 32, 64, 128, 256{mlp}"
            )
        if self.architecture is Architecture.LENET and size != 32:
            raise ValueError(f"LeNet-5 sees 32 × 32 pixels, not {size}; choose 32, or network.architecture=dcgan")
        if self.architecture is Architecture.LENET and (self.joint or self.cycle_discriminators):
            raise ValueError(
                "LeNet-5 judges images, not pairs (x, z); choose training.method=anogan or f-anogan, or "
                "network.architecture=dcgan"
            )
        if self.discriminator_batch_norm and self.architecture is not Architecture.DCGAN:
            raise ValueError(
                "batch norm in D is DCGAN's; choose network.architecture=dcgan, or leave "
                "network.discriminator_batch_norm away"
            )
        if self.joint and not (self.encoder and self.discriminator):
            raise ValueError("a joint discriminator D(x, z) needs an encoder and a discriminator; set both to true")
        if self.cycle_discriminators and not self.joint:
            raise ValueError("cycle discriminators stand beside a joint one; set joint to true")
        if self.phi and (size % 16 or size < 32):
            raise ValueError(
                f"network.phi halves the side four times and needs a few places to see, so {size} does not fit; choose "
                "a side of at least 32 that is a multiple of 16, or network.phi=false"
            )
        for name in ("synthetic_defects", "rotation"):
            if getattr(self, name) and size % 8:
                raise ValueError(
                    f"the auxiliary discriminator halves the side three times, so {size} does not fit; choose a "
                    f"multiple of 8, or auxiliary.{name}=false"
                )
        return self


class Recipe(Config):
    """Everything that decides what is learnt from given images. Where none is given, only AnoGAN has a search.

    With search.steps=0 there is no search: the encoder finds the latents.
    """

    preprocess: PreprocessConfig = PreprocessConfig()
    network: NetworkConfig = NetworkConfig()
    auxiliary: AuxiliaryConfig = AuxiliaryConfig()
    features: FeaturesConfig = FeaturesConfig()
    training: TrainingConfig = TrainingConfig()
    search: SearchConfig | None = None
    score: ScoreConfig = ScoreConfig()

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, given: Given) -> Given:
        if not isinstance(given, dict):
            return given
        sections = {name: _fields(section) for name, section in given.items()}
        if any(section is not None and not isinstance(section, dict) for section in sections.values()):
            return sections  # what a section should have been is said when its turn comes
        training, auxiliary = sections.get("training") or {}, sections.get("auxiliary") or {}
        if "search" not in sections and training.get("method") == Method.ANOGAN:
            sections["search"] = {}
        search = sections.get("search") or {}
        if search.get("steps") == 0:
            if training.get("method") == Method.ANOGAN and search.get("start") == "prior":
                raise ValueError(
                    "without a search anogan finds latents by its encoder, and search.start=prior has none; give "
                    "search.start=encoder, or search.steps of at least 1"
                )
            sections["search"] = None
        if (sections.get("network") or {}).get("discriminator_batch_norm"):
            sections["training"] = {"spectral_norm": False, **training}
        if any(auxiliary.get(name) for name in AuxiliaryConfig.discriminators()):
            sections["score"] = {"combine": "auxiliary", **(sections.get("score") or {})}
        if training.get("method") == Method.FEATURES:
            sections["score"] = {"combine": "strongest-place", **(sections.get("score") or {})}
        return sections

    @property
    def has_generator(self) -> bool:
        """Whether there are z_hat and x_hat."""
        return self.training.method is not Method.FEATURES

    @property
    def has_pretrained(self) -> bool:
        """Whether φ is among the networks, and its weights in the bundle."""
        return not self.has_generator or self.network.phi

    @property
    def stride(self) -> int:
        """What the sides of pictures must be multiples of, where there is no generator of images."""
        if self.features.half_restorer:
            return HALF_RESTORED_STRIDE
        return RESTORED_STRIDE if self.features.restorer else STRIDE

    @property
    def needs_torch(self) -> str | None:
        """Why only torch can compute the evidence, as what is said of a bundle; None where any engine can."""
        if self.search is not None:
            return "finds latents by search, which takes gradients"
        if self.score.precision is not Precision.FP32:
            return f"scores in {self.score.precision}"
        return None

    @property
    def plan(self) -> NetworkPlan:
        """The networks that the method, its search and the auxiliary discriminators need."""
        method = self.training.method
        assert self.has_generator, "its networks have no plan"
        joint = method in (Method.BIGAN, Method.ALAD)
        starts_by_encoder = self.search is not None and self.search.start == "encoder"
        return NetworkPlan(
            **dict(self.network),
            **dict(self.auxiliary),
            size=self.preprocess.size,
            channels=self.preprocess.channels,
            joint=joint,
            encoder=method is not Method.ANOGAN or self.search is None or starts_by_encoder,
            discriminator=method is not Method.AUTOENCODER,
            cycle_discriminators=method is Method.ALAD,
            has_region=self.preprocess.region is not None,
        )

    def _check_features(self) -> None:
        size, method = self.preprocess.size, self.training.method
        if self.search is not None:
            raise ValueError(f"{method} has no latents to search; leave the section search away")
        if self.score.combine != "strongest-place" or self.score.precision is not Precision.FP32:
            raise ValueError(f"{method} scores the strongest place in fp32; leave score.combine and precision away")
        if self.network.phi:
            raise ValueError(f"{method} has no G to match features with, and a φ anyway; leave network.phi away")
        if any(value for _, value in self.auxiliary):
            raise ValueError(f"{method} has a discriminator of its own; leave the section auxiliary away")
        self._check_restorers()
        if self.preprocess.resize is not Resize.WHOLE and size % 16:
            raise ValueError(
                f"the pretrained network halves the side four times, so {size} does not fit; choose a multiple of 16, "
                "or preprocess.resize=whole"
            )

    def _check_restorers(self) -> None:
        size, strides = self.preprocess.size, {"restorer": RESTORED_STRIDE, "half_restorer": HALF_RESTORED_STRIDE}
        restorers = [name for name in strides if getattr(self.features, name)]
        if self.preprocess.resize is Resize.WHOLE and restorers:
            named, without = _fields_of(restorers)
            raise ValueError(
                f"a restorer of maps ({named}) sees squares of one size; leave preprocess.resize=whole away, or choose "
                f"{without}, or the recipe large-parts"
            )
        unfit = [name for name in restorers if size % strides[name]]
        if unfit:
            named, without = _fields_of(unfit)
            fitting = ", ".join(str(side) for side in range(self.stride, MAX_SIDE + 1, self.stride))
            instead = "" if size % STRIDE else f", or {without}"
            raise ValueError(
                f"a restorer of maps ({named}) needs a side that is a multiple of {strides[unfit[0]]}, so {size} does "
                f"not fit; choose one of {fitting}{instead}"
            )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        method, search, training, score = self.training.method, self.search, self.training, self.score
        if not self.has_generator:
            self._check_features()
            return self
        if self.preprocess.resize is Resize.WHOLE:
            raise ValueError(
                f"the networks of {method} see squares of one size; leave preprocess.resize=whole away, or choose "
                "training.method=features (--recipe parts)"
            )
        if score.combine == "strongest-place":
            raise ValueError(f"{method} has no places to choose the strongest of; leave score.combine away")
        if search is not None and method in (Method.AUTOENCODER, Method.ALAD):
            raise ValueError(
                f"{method} finds latents by its encoder, and has no D(x) for a search; leave the section search away, "
                "or choose training.method=bigan, anogan or f-anogan"
            )
        if search is not None and search.objective != "feature-matching" and training.loss.has_critic:
            raise ValueError(
                f"a {training.loss} critic gives no probability to take the logarithm of; choose search.objective="
                "feature-matching, or training.loss=non-saturating or minimax"
            )
        if search is not None and score.precision is not Precision.FP32:
            raise ValueError(
                f"a latent search magnifies step by step what {score.precision} rounds; leave score.precision away, or "
                "find latents by an encoder alone: training.method=bigan without the section search"
            )
        names = AuxiliaryConfig.discriminators()
        if score.combine == "auxiliary" and not any(getattr(self.auxiliary, name) for name in names):
            choices = " or ".join(f"auxiliary.{name}=true" for name in names)
            raise ValueError(
                f"there is no auxiliary discriminator to make the score; set {choices}, or leave score.combine away"
            )
        if self.network.discriminator_batch_norm and training.gradient_penalty:
            raise ValueError(
                "the gradient penalty is of each image alone, and batch norm mixes those of a batch; leave "
                "network.discriminator_batch_norm away, or bound the critic by training.clip_weights=0.01"
            )
        try:
            _ = self.plan
        except ValidationError as error:
            raise ValueError(mistakes_of(error)[0].message) from None
        return self


def _fields(section: Given) -> Given:
    """The fields of a section that were set, also where it is a finished model."""
    return section.model_dump(exclude_unset=True) if isinstance(section, Config) else section


def _fields_of(restorers: Sequence[str]) -> tuple[str, str]:
    """How a message names them, and what it says to do without them."""
    named, without = (" and ".join(f"features.{name}{value}" for name in restorers) for value in ("", "=false"))
    return named, without
