"""D_patch learns to tell normal places from any mixture of negatives."""

import pytest
import torch

from anomaly.config import Method, TrainingConfig
from anomaly.training.places.discriminator import train_discriminator

TRAINING = TrainingConfig(method=Method.FEATURES, steps=150, batch_size=64, learning_rate=1e-2)


@pytest.mark.parametrize("spoilt", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("num_wrong", [0, 200])
def test_normal_places_are_told_from_what_it_learnt_by(spoilt: float, num_wrong: int) -> None:
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(500, 12, generator=generator)
    wrong = torch.randn(num_wrong, 12, generator=generator) + torch.tensor([6.0] + [0.0] * 11)
    D, history = train_discriminator(normal, wrong, 3.0, spoilt, TRAINING)
    learnt = wrong if spoilt and num_wrong else 3 * torch.randn(200, 12, generator=generator)
    own, other = (D(places.T[None, :, :, None]).flatten() for places in (normal, learnt))
    assert (own > 0).float().mean() > 0.9
    assert (other < 0).float().mean() > 0.9
    assert len(history) == 150
