"""G, E and D from one builder. They know nothing of files, scores or devices."""

from anomaly.networks.blocks import constrain_spectral_norm, fold_batch_norm, fold_spectral_norm
from anomaly.networks.builder import Networks, build
from anomaly.networks.discriminator import Discriminator, Judgement, feature_names
from anomaly.networks.encoder import Encoder
from anomaly.networks.generator import Generator

__all__ = [
    "Discriminator",
    "Encoder",
    "Generator",
    "Judgement",
    "Networks",
    "build",
    "constrain_spectral_norm",
    "feature_names",
    "fold_batch_norm",
    "fold_spectral_norm",
]
