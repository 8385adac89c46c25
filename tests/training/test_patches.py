from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import max_pool2d

from anomaly.config import Method
from anomaly.training.losses import SPOILT_WEIGHT, patch_loss
from anomaly.training.negatives import spoil
from anomaly.training.patches import _examples, patch_step
from anomaly.training.state import new_state
from tests.training.runs import CPU, assert_resumes, network, training

PATCHED = network(Method.BIGAN).model_copy(update={"patch_discriminator": True})


def surfaces(n: int, side: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Faintly textured and evenly lit, (n, 1, side, side)."""
    noise = np.random.default_rng(seed).normal(size=(n, 1, side, side))
    images: NDArray[np.float32] = (0.1 * gaussian_filter(noise, (0, 0, 1, 1))).astype(np.float32)
    return images


def test_a_step_moves_the_patch_discriminator_and_nothing_else() -> None:
    state = new_state(PATCHED, training(Method.BIGAN), CPU)
    before = {name: p.detach().clone() for name, p in state.networks.named_parameters()}
    curves = patch_step(state, torch.zeros(4, 1, 8, 8), training(Method.BIGAN), seed=1)
    moved = {name.split(".")[0] for name, p in state.networks.named_parameters() if not torch.equal(before[name], p)}
    assert moved == {"D_patch"}
    assert curves.keys() == {"loss_patch", "grad_patch"}


def test_the_loss_is_the_cross_entropy_of_each_place() -> None:
    logits = torch.tensor([[[2.0, -1.0]], [[0.5, 0.0]]])
    spoilt = torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]])
    D = logits.sigmoid()
    expected = -(
        D[0, 0, 0].log() + SPOILT_WEIGHT * ((1 - D[0, 0, 1]).log() + (1 - D[1, 0, 0]).log()) + D[1, 0, 1].log()
    )
    torch.testing.assert_close(patch_loss(logits, spoilt), expected / 4)


@pytest.mark.parametrize(("side", "num"), [(8, 24), (128, 24), (192, 10), (256, 6)])
def test_a_third_of_the_images_is_whole_and_the_larger_they_are_the_fewer(side: int, num: int) -> None:
    images, spoilt = _examples(surfaces(3, side), np.random.default_rng(0))
    assert images.shape == (num, 1, side, side)
    assert spoilt.shape == (num, side, side)
    num_whole = -(-num // 3)
    assert not spoilt[:num_whole].any()
    assert spoilt[num_whole:].flatten(1).any(dim=1).float().mean() > 0.6


def test_it_learns_to_tell_where_unseen_surfaces_are_spoilt() -> None:
    config = training(Method.BIGAN, learning_rate=2e-3)
    state = new_state(PATCHED.model_copy(update={"size": 32}), config, CPU)
    x = torch.from_numpy(surfaces(16, 32))
    for step in range(60):
        patch_step(state, x, config, seed=step)
    assert state.networks.D_patch is not None
    state.networks.D_patch.eval()
    logits, where = _judged(state.networks.D_patch, surfaces(24, 32, seed=1))
    assert logits[where < 0.5].mean() > logits[where > 0.5].mean() + 1


def _judged(D_patch: torch.nn.Module, x: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(5)
    spoilt = [spoil(image, image, rng) for image in x]
    masks = torch.from_numpy(np.stack([mask for _, mask in spoilt]).astype(np.float32))
    with torch.no_grad():
        return D_patch(torch.from_numpy(np.stack([image for image, _ in spoilt]))).logits, max_pool2d(masks, 4)


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    row = assert_resumes(PATCHED, training(Method.BIGAN, steps=20), tmp_path)
    assert {"loss_patch", "grad_patch"} < row.keys()
