"""The latent search on losses whose minimum is known."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anomaly.config import SearchConfig
from anomaly.inference.search import Objective, search_latents

CONFIG = SearchConfig(steps=200, restarts=1, learning_rate=0.2, patience=200, tolerance=0.0)


def bowls(targets: Tensor) -> Objective:
    """One convex loss an image: ½ + |z − target|², whose minimum is ½ at the image's target."""

    def loss(images: Tensor, z: Tensor) -> Tensor:
        return 0.5 + (z - targets[images]).square().sum(dim=1)

    return loss


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_each_image_finds_its_own_minimum() -> None:
    targets = draw(5, 3)
    z_hat, losses = search_latents(bowls(targets), draw(5, 1, 3, seed=1), CONFIG, num_slots=8)
    torch.testing.assert_close(z_hat, targets, atol=0.02, rtol=0)
    torch.testing.assert_close(losses, torch.full((5,), 0.5), atol=1e-3, rtol=0)


def test_the_first_step_is_adams() -> None:
    """From rest Adam moves by the learning rate against the gradient's sign, whatever the gradient's size."""
    steps: list[Tensor] = []

    def loss(images: Tensor, z: Tensor) -> Tensor:
        steps.append(z.detach().clone())
        return (z * torch.tensor([3.0, -1e-3])).sum(dim=1)

    config = CONFIG.model_copy(update={"steps": 2})
    search_latents(loss, torch.zeros(1, 1, 2), config, num_slots=1)
    torch.testing.assert_close(steps[1], torch.tensor([[-0.2, 0.2]]), atol=1e-4, rtol=0)


def test_the_best_of_the_restarts_is_kept() -> None:
    """Two valleys: a deep one on the right, a shallow one on the left; the start decides where a search ends."""

    def loss(images: Tensor, z: Tensor) -> Tensor:
        return torch.minimum((z - 2).square(), (z + 2).square() + 1).sum(dim=1)

    starts = torch.tensor([[[-3.0], [3.0]], [[3.0], [-3.0]], [[-3.0], [-1.0]]])
    z_hat, losses = search_latents(loss, starts, CONFIG.model_copy(update={"restarts": 2}), num_slots=4)
    torch.testing.assert_close(z_hat[:, 0], torch.tensor([2.0, 2.0, -2.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(losses, torch.tensor([0.0, 0.0, 1.0]), atol=0.01, rtol=0)


@settings(max_examples=25)
@given(
    num_images=st.integers(1, 9),
    restarts=st.integers(1, 3),
    num_slots=st.integers(1, 12),
    patience=st.integers(1, 9),
    tolerance=st.sampled_from([0.0, 0.05, 0.5]),
)
def test_slots_are_an_implementation_detail(
    num_images: int, restarts: int, num_slots: int, patience: int, tolerance: float
) -> None:
    targets, starts = draw(num_images, 2), draw(num_images, restarts, 2, seed=1)
    config = SearchConfig(steps=12, restarts=restarts, patience=patience, tolerance=tolerance)
    z_hat, losses = search_latents(bowls(targets), starts, config, num_slots=num_slots)
    assert torch.isfinite(losses).all()
    torch.testing.assert_close(bowls(targets)(torch.arange(num_images), z_hat), losses)
    for image in range(num_images):
        alone, loss = search_latents(bowls(targets[image : image + 1]), starts[image : image + 1], config, num_slots=64)
        torch.testing.assert_close(z_hat[image], alone[0])
        torch.testing.assert_close(losses[image], loss[0])


def test_the_order_of_the_images_does_not_matter() -> None:
    targets, starts = draw(7, 2), draw(7, 2, 2, seed=1)
    order = torch.tensor([6, 2, 0, 5, 1, 4, 3])
    config = SearchConfig(steps=20, restarts=2, patience=4, tolerance=0.1)
    z_hat, losses = search_latents(bowls(targets), starts, config, num_slots=3)
    z_moved, losses_moved = search_latents(bowls(targets[order]), starts[order], config, num_slots=3)
    torch.testing.assert_close(z_hat[order], z_moved)
    torch.testing.assert_close(losses[order], losses_moved)


def test_a_longer_search_is_never_worse_than_its_start() -> None:
    targets, starts = draw(6, 3), draw(6, 1, 3, seed=1)
    at_start = bowls(targets)(torch.arange(6), starts[:, 0])
    wild = CONFIG.model_copy(update={"learning_rate": 50.0, "steps": 5})
    _, losses = search_latents(bowls(targets), starts, wild, num_slots=6)
    assert (losses <= at_start).all()


def images_in_slots(targets: Tensor, starts: Tensor, config: SearchConfig, num_slots: int) -> list[list[int]]:
    """Whose search each slot has, step by step; an empty slot is given the first image."""
    seen: list[list[int]] = []

    def loss(images: Tensor, z: Tensor) -> Tensor:
        seen.append(images.tolist())
        return bowls(targets)(images, z)

    search_latents(loss, starts, config, num_slots=num_slots)
    return seen


def test_an_image_that_has_converged_stops_and_the_others_go_on() -> None:
    targets = torch.tensor([[0.0], [30.0], [30.0]])
    config = SearchConfig(steps=100, restarts=1, learning_rate=0.5, patience=5, tolerance=0.01)
    seen = images_in_slots(targets, torch.zeros(3, 1, 1), config, num_slots=2)
    num_quick = seen.count([0, 1])
    num_slow = sum(slots[1] == 1 for slots in seen)
    assert num_quick < 25
    assert num_slow > 2 * num_quick
    assert seen == [[0, 1]] * num_quick + [[2, 1]] * (num_slow - num_quick) + [[2, 0]] * num_quick


def test_without_progress_to_wait_for_all_steps_are_taken() -> None:
    seen = images_in_slots(draw(3, 2), draw(3, 1, 2, seed=1), CONFIG, num_slots=3)
    assert seen == [[0, 1, 2]] * CONFIG.steps


def test_a_free_slot_takes_the_next_job() -> None:
    config = CONFIG.model_copy(update={"steps": 10, "restarts": 2, "patience": 10})
    seen = images_in_slots(draw(5, 2), draw(5, 2, 2, seed=1), config, num_slots=4)
    assert seen == [[0, 0, 1, 1]] * 10 + [[2, 2, 3, 3]] * 10 + [[4, 4, 0, 0]] * 10


@pytest.mark.parametrize("num_slots", [1, 2, 5])
def test_the_networks_always_see_one_batch_shape(num_slots: int) -> None:
    targets, shapes = draw(3, 2), set()

    def loss(images: Tensor, z: Tensor) -> Tensor:
        shapes.add((tuple(images.shape), tuple(z.shape)))
        return bowls(targets)(images, z)

    search_latents(loss, draw(3, 1, 2, seed=1), CONFIG.model_copy(update={"steps": 3}), num_slots=num_slots)
    assert shapes == {((num_slots,), (num_slots, 2))}
