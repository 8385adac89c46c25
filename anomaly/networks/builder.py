"""One place that knows which networks a configuration asks for, and what their layers are called."""

from collections.abc import Iterator

from torch import Tensor, nn

from anomaly.config import Architecture, NetworkConfig
from anomaly.networks import lenet
from anomaly.networks.blocks import initialise
from anomaly.networks.discriminator import Discriminator, convolution_names
from anomaly.networks.encoder import Encoder
from anomaly.networks.generator import Generator
from anomaly.networks.judgement import Judgement
from anomaly.networks.lenet import LeNetDiscriminator
from anomaly.networks.memory import PatchMemory
from anomaly.networks.mlp import (
    MLPEncoder,
    MLPGenerator,
    hidden_names,
    image_discriminator,
    latent_discriminator,
)
from anomaly.networks.patches import PatchDiscriminator, PatchJudgement, doubt
from anomaly.networks.turns import TurnDiscriminator

DCGAN_NETWORKS = (Generator, Discriminator, Encoder)


class Networks(nn.Module):
    """G and, where the configuration asks for them, D, E, D_xx and D_zz of cycles, D_patch, D_turn; one state dict.

    `memory` is of what D_patch makes of normal images, where it was to remember them.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        is_mlp = config.architecture is Architecture.MLP
        self.G = MLPGenerator(config) if is_mlp else Generator(config)
        self.D = _discriminator(config) if config.discriminator else None
        self.E = (MLPEncoder(config) if is_mlp else Encoder(config)) if config.encoder else None
        self.D_xx, self.D_zz = None, None
        if config.cycle_discriminators:
            self.D_xx = image_discriminator(config, images=2) if is_mlp else Discriminator(config, images=2)
            self.D_zz = latent_discriminator(config)
        self.D_patch = PatchDiscriminator(config) if config.patch_discriminator else None
        self.memory = PatchMemory(config) if config.num_remembered else None
        self.D_turn = TurnDiscriminator(config) if config.turn_discriminator else None

    def encode(self, x: Tensor) -> Tensor:
        """z_hat = E(x); only for networks that have an encoder."""
        assert self.E is not None, "these networks have no encoder"
        z: Tensor = self.E(x)
        return z

    def judge(self, x: Tensor, z: Tensor | None = None) -> Judgement:
        """D(x), or D(x, z) for a joint discriminator; only for networks that have one."""
        assert self.D is not None, "these networks have no discriminator"
        judgement: Judgement = self.D(x, z)
        return judgement

    def strangeness(self, judgement: PatchJudgement) -> Tensor:
        """How strange each place is by what D_patch says, and to its memory if it has one (b, size/8, size/8)."""
        return doubt(judgement.logits) if self.memory is None else self.memory(judgement)

    def doubt_and_novelty(self, judgement: PatchJudgement) -> tuple[Tensor, Tensor | None]:
        """−logits of D_patch (b, size/4, size/4), and novelty to its memory, if any (b, size/8, size/8)."""
        return -judgement.logits, None if self.memory is None else self.memory.novelty(judgement.features)

    def discriminators(self) -> Iterator[nn.Module]:
        """Those there are of the game's: of D, D_xx and D_zz."""
        for network in (self.D, self.D_xx, self.D_zz):
            if network is not None:
                yield network

    def taught(self) -> Iterator[nn.Module]:
        """Those there are of the discriminators that play no game, but are taught beside it: of D_patch and D_turn."""
        for network in (self.D_patch, self.D_turn):
            if network is not None:
                yield network


def build(config: NetworkConfig) -> Networks:
    """New networks drawn from torch's global generator: DCGAN's with its initial weights, others with torch's."""
    networks = Networks(config)
    for network in networks.children():
        if isinstance(network, DCGAN_NETWORKS):
            initialise(network)
    return networks


def feature_names(config: NetworkConfig) -> list[str]:
    """The layers whose features are compared, in order: of D_xx where there is one, else of D; none without either."""
    if not config.discriminator:
        return []
    match config.architecture:
        case Architecture.DCGAN:
            joint = config.joint and not config.cycle_discriminators
            return [*convolution_names(config), "joint"] if joint else convolution_names(config)
        case Architecture.MLP:
            return hidden_names(config.hidden)
        case Architecture.LENET:
            return list(lenet.LAYERS)


def map_names(config: NetworkConfig) -> list[str]:
    """Those of them whose features are maps, so that they tell where."""
    match config.architecture:
        case Architecture.DCGAN:
            return feature_names(config)
        case Architecture.MLP:
            return []
        case Architecture.LENET:
            return list(lenet.MAP_LAYERS)


def num_maps(config: NetworkConfig) -> int:
    """How many maps a heatmap is made of: D_patch's doubt and its memory's novelty, or the residual and the layers'."""
    return 1 + bool(config.num_remembered) if config.patch_discriminator else 1 + len(map_names(config))


def default_feature_layer(config: NetworkConfig) -> str | None:
    """The last of D's layers whose features tell where, before it meets z; the last of all where none does."""
    before = [name for name in map_names(config) if name != "joint"] or feature_names(config)
    return before[-1] if before else None


def _discriminator(config: NetworkConfig) -> nn.Module:
    match config.architecture:
        case Architecture.DCGAN:
            return Discriminator(config)
        case Architecture.MLP:
            return image_discriminator(config)
        case Architecture.LENET:
            return LeNetDiscriminator(config)
