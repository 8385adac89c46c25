"""G, E and D from one builder. They know nothing of files, scores or devices."""

from anomaly.networks.blocks import constrain_spectral_norm, fold_batch_norm, fold_spectral_norm
from anomaly.networks.builder import Networks, build, default_feature_layer, feature_names, map_names, num_maps
from anomaly.networks.discriminator import Discriminator
from anomaly.networks.encoder import Encoder
from anomaly.networks.generator import Generator
from anomaly.networks.judgement import Judgement
from anomaly.networks.memory import PatchMemory
from anomaly.networks.patches import PatchDiscriminator, PatchJudgement, standardise
from anomaly.networks.prior import draw, interpolate
from anomaly.networks.turns import NUM_TURNS, TurnDiscriminator, turned

__all__ = [
    "NUM_TURNS",
    "Discriminator",
    "Encoder",
    "Generator",
    "Judgement",
    "Networks",
    "PatchDiscriminator",
    "PatchJudgement",
    "PatchMemory",
    "TurnDiscriminator",
    "build",
    "constrain_spectral_norm",
    "default_feature_layer",
    "draw",
    "feature_names",
    "fold_batch_norm",
    "fold_spectral_norm",
    "interpolate",
    "map_names",
    "num_maps",
    "standardise",
    "turned",
]
