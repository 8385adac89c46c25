"""The auxiliary discriminators of networks that have them, by their own classes."""

from anomaly.networks import Networks
from anomaly.networks.auxiliary import MemoryBank, SyntheticDefects


def defects_of(networks: Networks) -> SyntheticDefects:
    """The discriminator of synthetic defects, which is the first."""
    auxiliary = networks.all_auxiliaries()[0]
    assert isinstance(auxiliary, SyntheticDefects)
    return auxiliary


def bank_of(networks: Networks) -> MemoryBank:
    """Its memory bank."""
    bank = defects_of(networks).memory_bank
    assert bank is not None
    return bank
