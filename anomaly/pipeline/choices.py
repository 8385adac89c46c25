"""What a training is told, and what follows from it: the preprocessing, the networks, the layer of F(x), G's start."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anomaly.bundle import load
from anomaly.config import (
    Architecture,
    Method,
    NetworkConfig,
    Precision,
    PreprocessConfig,
    Prior,
    Resize,
    ScoreConfig,
    SearchConfig,
    TrainingConfig,
)
from anomaly.data import Sample, to_array
from anomaly.errors import ImageError, UsageError
from anomaly.networks import Networks, default_feature_layer, feature_names

_NUM_LOOKED_AT = 16  # images that decide size and channels where the user does not


@dataclass(frozen=True)
class TrainOptions:
    """What `anomaly train` is told. None: `size` and `channels` as the images are, D's default `feature_layer`."""

    data: str
    out: Path
    normal: tuple[str, ...] = ()
    training: TrainingConfig = field(default_factory=TrainingConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    search: SearchConfig | None = None
    precision: Precision = Precision.FP32
    size: int | None = None
    channels: int | None = None
    resize: Resize = Resize.PAD
    architecture: Architecture = Architecture.DCGAN
    prior: Prior = Prior.GAUSSIAN
    latent_dim: int = 16
    width: int = 24
    hidden: tuple[int, ...] = (1024, 256)
    discriminator_batch_norm: bool = False
    negatives: bool = False
    memory: bool = False
    turns: bool = False
    feature_layer: str | None = None
    init_decoder: Path | None = None
    max_minutes: float | None = None
    device: str = "auto"
    resume: bool = False
    tensorboard: Path | None = None
    command: str = ""


def check_options(options: TrainOptions) -> None:
    """What neither the training's configuration nor the networks' can see alone. Raises UsageError."""
    training, search = options.training, options.search
    method = training.method
    if method is Method.ANOGAN and search is None:
        raise UsageError("anogan finds latents by search alone; give --search-steps of at least 1, or --method bigan")
    if search is not None and method in (Method.AUTOENCODER, Method.ALAD):
        raise UsageError(
            f"{method} finds latents by its encoder, and has no D(x) for a search; leave --search-steps away, "
            "or choose --method bigan, anogan or f-anogan"
        )
    if search is not None and search.objective != "feature-matching" and training.loss.has_critic:
        raise UsageError(
            f"a {training.loss} critic gives no probability to take the logarithm of; choose --search-objective "
            "feature-matching, or --loss non-saturating or minimax"
        )
    if search is not None and options.precision is not Precision.FP32:
        raise UsageError(
            f"a latent search magnifies step by step what {options.precision} rounds; leave --precision away, or find "
            "latents by an encoder alone: --method bigan without --search-steps"
        )
    if options.score.combine == "taught" and not (options.negatives or options.turns):
        raise UsageError(
            "nothing was taught that could make the score; give --negatives or --turns, or leave --score away"
        )
    if options.memory and not options.negatives:
        raise UsageError("it is the patch discriminator that remembers; give --negatives too, or leave --memory away")
    if options.discriminator_batch_norm and training.gradient_penalty:
        raise UsageError(
            "the gradient penalty is of each image alone, and batch norm mixes those of a batch; "
            "leave --discriminator-batch-norm away, or bound the critic by --clip-weights 0.01"
        )


def choose_preprocess(samples: list[Sample], options: TrainOptions) -> PreprocessConfig:
    """As the user says; else as the images are: grey or colour, and the power of two that holds their median long side.

    At most 64: larger models are slow to train, so they are the user's to ask for.
    """
    looked_at = [_look(sample) for sample in samples[:_NUM_LOOKED_AT]]
    known = [shape for shape in looked_at if shape is not None]
    long_side = int(np.median([max(height, width) for height, width, _ in known])) if known else 32
    return PreprocessConfig(
        size=min(max(1 << (long_side - 1).bit_length(), 8), 64) if options.size is None else options.size,
        channels=(3 if any(colour for _, _, colour in known) else 1) if options.channels is None else options.channels,  # type: ignore[arg-type]
        resize=options.resize,
    )


def _look(sample: Sample) -> tuple[int, int, bool] | None:
    """Height, width, and whether there is any colour; None for an image that cannot be read (it is counted later)."""
    try:
        image = to_array(sample.open())
    except ImageError:
        return None
    return image.shape[0], image.shape[1], image.ndim == 3 and bool((image != image[:, :, :1]).any())


def choose_network(preprocess: PreprocessConfig, options: TrainOptions) -> NetworkConfig:
    """The networks that the method, its search and what is to be taught ask for."""
    method = options.training.method
    joint = method in (Method.BIGAN, Method.ALAD)
    search_needs_encoder = options.search is not None and options.search.start == "encoder"
    return NetworkConfig(
        architecture=options.architecture,
        size=preprocess.size,
        channels=preprocess.channels,
        latent_dim=options.latent_dim,
        prior=options.prior,
        width=options.width,
        max_width=8 * options.width,
        hidden=options.hidden,
        joint=joint,
        encoder=joint or method in (Method.AUTOENCODER, Method.F_ANOGAN) or search_needs_encoder,
        discriminator=method is not Method.AUTOENCODER,
        cycle_discriminators=method is Method.ALAD,
        patch_discriminator=options.negatives,
        turn_discriminator=options.turns,
        discriminator_batch_norm=options.discriminator_batch_norm,
    )


def choose_feature_layer(network: NetworkConfig, options: TrainOptions) -> str | None:
    """The layer f of F(x), None where there is no discriminator. Raises UsageError for one that D has not."""
    names, layer = feature_names(network), options.feature_layer
    if layer is not None and layer not in names:
        there = f"there are {', '.join(names)}" if names else f"{options.training.method} has no discriminator"
        raise UsageError(f"--feature-layer {layer}: D has no such layer; {there}")
    return layer or default_feature_layer(network)


def read_decoder(network: NetworkConfig, options: TrainOptions) -> dict[str, Tensor] | None:
    """G's weights of another bundle, mostly an autoencoder's, to begin with."""
    if options.init_decoder is None:
        return None
    bundle = load(options.init_decoder)
    weights = {
        name.removeprefix("G."): torch.from_numpy(np.array(array))
        for name, array in bundle.contents.weights.items()
        if name.startswith("G.")
    }
    wanted = {name: tensor.shape for name, tensor in Networks(network).G.state_dict().items()}
    if wanted != {name: tensor.shape for name, tensor in weights.items()}:
        raise UsageError(
            f"--init-decoder {options.init_decoder}: its decoder has other layers than this G; train both with the "
            "same --network, --size, --channels, --latent-dim and --width"
        )
    return weights
