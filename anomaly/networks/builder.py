"""One place that knows which networks a configuration asks for."""

from torch import Tensor, nn

from anomaly.config import NetworkConfig
from anomaly.networks.blocks import initialise
from anomaly.networks.discriminator import Discriminator
from anomaly.networks.encoder import Encoder
from anomaly.networks.generator import Generator


class Networks(nn.Module):
    """G, D and, where the configuration asks for one, E; one state dict for all."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.G = Generator(config)
        self.D = Discriminator(config)
        self.E = Encoder(config) if config.encoder else None

    def encode(self, x: Tensor) -> Tensor:
        """z_hat = E(x); only for networks that have an encoder."""
        assert self.E is not None, "these networks have no encoder"
        z: Tensor = self.E(x)
        return z


def build(config: NetworkConfig) -> Networks:
    """New networks with DCGAN's initial weights, drawn from torch's global generator."""
    networks = Networks(config)
    initialise(networks)
    return networks
