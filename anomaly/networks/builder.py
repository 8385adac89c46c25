"""The one place that decides which networks a plan needs."""

from collections.abc import Iterator

from torch import Tensor, nn

from anomaly.config import Architecture, NetworkPlan, map_names
from anomaly.config.layers import PHI_LAYERS
from anomaly.networks.auxiliary import AUXILIARIES, Auxiliary
from anomaly.networks.blocks import initialise
from anomaly.networks.discriminator import Discriminator
from anomaly.networks.encoder import Encoder
from anomaly.networks.generator import Generator
from anomaly.networks.judgement import Judgement
from anomaly.networks.lenet import LeNetDiscriminator
from anomaly.networks.mlp import (
    MLPEncoder,
    MLPGenerator,
    image_discriminator,
    latent_discriminator,
)
from anomaly.networks.phi import PhiFeatures

DCGAN_NETWORKS = (Generator, Discriminator, Encoder)


class Networks(nn.Module):
    """G and, where the plan has them, D, E, D_xx and D_zz of cycles, auxiliaries by name, and φ; one state dict."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        is_mlp = plan.architecture is Architecture.MLP
        self.G = MLPGenerator(plan) if is_mlp else Generator(plan)
        self.D = _discriminator(plan) if plan.discriminator else None
        self.E = (MLPEncoder(plan) if is_mlp else Encoder(plan)) if plan.encoder else None
        self.D_xx, self.D_zz = None, None
        if plan.cycle_discriminators:
            self.D_xx = image_discriminator(plan, images=2) if is_mlp else Discriminator(plan, images=2)
            self.D_zz = latent_discriminator(plan)
        self.auxiliaries = nn.ModuleDict({kind.name: kind(plan) for kind in _auxiliary_kinds(plan)})
        self.phi = PhiFeatures() if plan.phi else None

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

    def phi_features(self, x: Tensor) -> dict[str, Tensor]:
        """φ's features of x by layer; none without φ."""
        return {} if self.phi is None else self.phi(x)

    def features_at(self, layer: str, x: Tensor, z: Tensor | None = None) -> Tensor:
        """f(x), or f(x, z) of a joint discriminator: the features of one layer, D's or φ's."""
        if layer not in PHI_LAYERS:
            return self.judge(x, z).features[layer]
        assert self.phi is not None, "these networks have no φ"
        f: Tensor = self.phi(x, last=layer)[layer]
        return f

    def discriminators(self) -> Iterator[nn.Module]:
        """The discriminators of the game: D, D_xx and D_zz, where there are."""
        for network in (self.D, self.D_xx, self.D_zz):
            if network is not None:
                yield network

    def all_auxiliaries(self) -> list[Auxiliary]:
        """The auxiliary discriminators, in order."""
        return list(self.auxiliaries.values())  # type: ignore[arg-type]  # torch knows them as modules only


def build(plan: NetworkPlan) -> Networks:
    """New networks drawn from torch's global generator: DCGAN's with its initial weights, others with torch's.

    Raises:
        UsageError: there is a φ, and the extra `pretrained` is not installed.
    """
    networks = Networks(plan)
    for network in networks.children():
        if isinstance(network, DCGAN_NETWORKS):
            initialise(network)
    if networks.phi is not None:
        networks.phi.load()
    return networks


def num_maps(plan: NetworkPlan) -> int:
    """How many maps a heatmap is made of: the auxiliaries' where they have some, else the residual and the layers'."""
    return sum(kind.num_maps(plan) for kind in _auxiliary_kinds(plan)) or 1 + len(map_names(plan))


def _auxiliary_kinds(plan: NetworkPlan) -> list[type[Auxiliary]]:
    return [kind for kind in AUXILIARIES if getattr(plan, kind.name)]


def _discriminator(plan: NetworkPlan) -> nn.Module:
    match plan.architecture:
        case Architecture.DCGAN:
            return Discriminator(plan)
        case Architecture.MLP:
            return image_discriminator(plan)
        case Architecture.LENET:
            return LeNetDiscriminator(plan)
