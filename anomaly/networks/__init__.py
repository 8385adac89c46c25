"""G, E, D and auxiliary discriminators, built in one place. They know nothing of files, scores or devices."""

from anomaly.networks.auxiliary import AUXILIARIES, Auxiliary, AuxiliaryEvidence, Batches
from anomaly.networks.blocks import (
    constrain_spectral_norm,
    fold_batch_norm,
    fold_batch_norm_at_run_time,
    fold_spectral_norm,
)
from anomaly.networks.builder import Networks, build, num_maps
from anomaly.networks.discriminator import Discriminator
from anomaly.networks.encoder import Encoder
from anomaly.networks.frozen import Frozen, copy_sharing_frozen, is_frozen
from anomaly.networks.generator import Generator
from anomaly.networks.judgement import Judgement
from anomaly.networks.places import PhiMaps, PlaceNetworks
from anomaly.networks.prior import draw, interpolate

__all__ = [
    "AUXILIARIES",
    "Auxiliary",
    "AuxiliaryEvidence",
    "Batches",
    "Discriminator",
    "Encoder",
    "Frozen",
    "Generator",
    "Judgement",
    "Networks",
    "PhiMaps",
    "PlaceNetworks",
    "build",
    "constrain_spectral_norm",
    "copy_sharing_frozen",
    "draw",
    "fold_batch_norm",
    "fold_batch_norm_at_run_time",
    "fold_spectral_norm",
    "interpolate",
    "is_frozen",
    "num_maps",
]
