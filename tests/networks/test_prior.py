import pytest
import torch

from anomaly.config import Prior
from anomaly.networks import draw, interpolate
from anomaly.runtime import seeded_rng


@pytest.mark.parametrize("prior", Prior)
@pytest.mark.parametrize("latent_dim", [1, 2, 16])
def test_a_walk_begins_and_ends_at_its_latents(prior: Prior, latent_dim: int) -> None:
    start, end = draw(prior, (2, 5, latent_dim), seeded_rng("walk"))
    z = interpolate(prior, start, end, 7)
    assert z.shape == (5, 7, latent_dim)
    assert z.dtype == start.dtype
    torch.testing.assert_close(z[:, 0], start, rtol=0, atol=0)
    torch.testing.assert_close(z[:, -1], end, rtol=0, atol=0)
    assert z.isfinite().all()


def test_gaussian_walks_keep_their_norm() -> None:
    a, b = torch.tensor([3.0, 0, 0]), torch.tensor([0, 3.0, 0])
    z = interpolate(Prior.GAUSSIAN, a, b, 5)
    torch.testing.assert_close(z.norm(dim=1), torch.full((5,), 3.0))
    torch.testing.assert_close(z[2], torch.tensor([3.0, 3.0, 0]) / 2**0.5)


def test_uniform_walks_are_straight() -> None:
    a, b = torch.tensor([1.0, -1.0]), torch.tensor([-1.0, 0.0])
    torch.testing.assert_close(
        interpolate(Prior.UNIFORM, a, b, 3), torch.tensor([[1.0, -1.0], [0.0, -0.5], [-1.0, 0.0]])
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_latents_of_one_line_have_a_straight_walk(sign: float) -> None:
    a = torch.tensor([1.0, 2.0])
    torch.testing.assert_close(interpolate(Prior.GAUSSIAN, a, sign * a, 3)[1], (1 + sign) / 2 * a)
