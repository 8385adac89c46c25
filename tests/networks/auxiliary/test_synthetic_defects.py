import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import max_pool2d, softplus

from anomaly.config import Method, Recipe
from anomaly.config.region import OUTSIDE, encode_region
from anomaly.networks.auxiliary import SyntheticDefects
from anomaly.networks.auxiliary.defect_kinds import spoil
from anomaly.networks.auxiliary.patches import doubt, standardise
from anomaly.networks.auxiliary.synthetic_defects import SPOILT_WEIGHT, _examples, patch_loss
from anomaly.runtime import to_float
from anomaly.training.optimizers import auxiliary_optimizer, descend
from tests.training.runs import network

PLAN = network(Method.BIGAN).model_copy(update={"synthetic_defects": True})


def synthetic_defects(size: int = 8) -> SyntheticDefects:
    torch.manual_seed(0)
    return SyntheticDefects(PLAN.model_copy(update={"size": size}))


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def surfaces(n: int, side: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Faintly textured and evenly lit, (n, 1, side, side)."""
    noise = np.random.default_rng(seed).normal(size=(n, 1, side, side))
    images: NDArray[np.float32] = (0.1 * gaussian_filter(noise, (0, 0, 1, 1))).astype(np.float32)
    return images


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
    auxiliary = synthetic_defects(32)
    optimizer = auxiliary_optimizer(auxiliary)
    x = torch.from_numpy(surfaces(16, 32))
    for step in range(60):
        descend(optimizer, auxiliary.loss(*auxiliary.examples(x, seed=0, step=step)))
    auxiliary.eval()
    logits, where = _judged(auxiliary.discriminator, surfaces(24, 32, seed=1))
    assert logits[where < 0.5].mean() > logits[where > 0.5].mean() + 1


@pytest.mark.parametrize("channels", [1, 3])
def test_with_a_region_nothing_outside_is_spoilt_and_something_inside_is(channels: int) -> None:
    plan = PLAN.model_copy(update={"size": 64, "channels": channels, "has_region": True})
    pixels = np.random.default_rng(0).integers(150, 200, (1, channels, 64, 64), np.uint8)
    outside = np.ones((64, 64), np.bool_)
    outside[16:40, 8:40] = False
    pixels[:, :, outside] = OUTSIDE
    x = to_float(torch.from_numpy(pixels))
    num_seen = num_spoilt = 0
    for step in range(4):
        images, spoilt = SyntheticDefects(plan).examples(x, seed=0, step=step)
        assert not spoilt[:, outside].any()
        change = (images - standardise(x)).abs().amax(dim=1)
        assert not change[:, outside].any()
        num_seen += int(spoilt.flatten(1).any(dim=1).sum())
        num_spoilt += len(images) - -(-len(images) // 3)
    assert num_seen > 0.8 * num_spoilt


def test_the_plan_of_a_recipe_knows_of_its_region() -> None:
    inside = np.zeros((8, 8), np.bool_)
    inside[:4] = True
    recipe = Recipe.model_validate({"auxiliary": {"synthetic_defects": True}})
    assert not recipe.plan.has_region
    with_one = {"preprocess": {"region": encode_region(inside)}, "auxiliary": {"synthetic_defects": True}}
    assert Recipe.model_validate(with_one).plan.has_region


def _judged(D_patch: torch.nn.Module, x: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(5)
    spoilt = [spoil(image, image, rng) for image in x]
    masks = torch.from_numpy(np.stack([mask for _, mask in spoilt]).astype(np.float32))
    with torch.no_grad():
        return D_patch(torch.from_numpy(np.stack([image for image, _ in spoilt]))).logits, max_pool2d(masks, 4)


def test_the_examples_of_a_step_are_drawn_by_the_seed_and_the_step_alone() -> None:
    auxiliary, x = synthetic_defects(32).eval(), torch.from_numpy(surfaces(4, 32))
    with torch.no_grad():
        first, again, later, other = (
            auxiliary.loss(*auxiliary.examples(x, seed=seed, step=step)).item()
            for seed, step in ((0, 1), (0, 1), (0, 2), (1, 1))
        )
    assert first == again
    assert len({first, later, other}) == 3


def test_the_term_is_that_of_the_most_anomalous_place_and_the_map_is_the_doubt() -> None:
    auxiliary, x = synthetic_defects(32).eval(), drawn(3, 1, 32, 32, seed=2)
    with torch.no_grad():
        evidence, logits = auxiliary(x), auxiliary.discriminator(x).logits
    assert evidence.term.tolist() == [places.max().item() for places in doubt(logits)]
    assert SyntheticDefects.num_maps(PLAN) == len(evidence.maps) == 1
    torch.testing.assert_close(evidence.maps[0], softplus(-logits))


def test_with_a_memory_bank_the_term_is_its_and_novelty_is_a_second_map() -> None:
    plan = PLAN.model_copy(update={"size": 32, "memory_bank": 5})
    auxiliary, x = SyntheticDefects(plan).eval(), drawn(3, 1, 32, 32, seed=2)
    bank = auxiliary.memory_bank
    assert bank is not None
    with torch.no_grad():
        bank.remember(auxiliary.discriminator(drawn(5, 1, 32, 32, seed=3)).features)
        evidence, judgement = auxiliary(x), auxiliary.discriminator(x)
        places, novelty = bank(bank.evidence(judgement)), bank.novelty(judgement.features)
    torch.testing.assert_close(evidence.term, places.flatten(1).amax(dim=1))
    assert SyntheticDefects.num_maps(plan) == len(evidence.maps) == 2
    torch.testing.assert_close(evidence.maps[1], novelty)
