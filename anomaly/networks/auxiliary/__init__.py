"""Auxiliary discriminators: they take no part in the game; each learns a task of its own beside it."""

from anomaly.networks.auxiliary.memory_bank import MemoryBank
from anomaly.networks.auxiliary.protocol import Auxiliary, AuxiliaryEvidence, Batches
from anomaly.networks.auxiliary.rotation import Rotation
from anomaly.networks.auxiliary.synthetic_defects import SyntheticDefects

AUXILIARIES: tuple[type[Auxiliary], ...] = (SyntheticDefects, Rotation)
"""All there are, in the order in which they are built and in which their terms are listed."""

__all__ = [
    "AUXILIARIES",
    "Auxiliary",
    "AuxiliaryEvidence",
    "Batches",
    "MemoryBank",
    "Rotation",
    "SyntheticDefects",
]
