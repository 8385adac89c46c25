from pathlib import Path

import pytest
import torch
from torch import Tensor

from anomaly.config import Method
from anomaly.runtime import seeded_rng, to_float
from anomaly.training import loop
from anomaly.training.augmentation import augment
from anomaly.training.ranks import Ranks
from anomaly.training.state import new_state
from tests.training.runs import CPU, assert_resumes, digits, first_weight, network, run, training

SIDE = 32


def dots(n: int) -> Tensor:
    """Images (n, 1, SIDE, SIDE) of a bright square of 4 × 4 pixels in the middle."""
    x = torch.full((n, 1, SIDE, SIDE), -1.0)
    x[:, :, 14:18, 14:18] = 1.0
    return x


def centres(x: Tensor) -> Tensor:
    """(n, 2): rows and columns of the images' centres of brightness, in pixels from the middle."""
    weight = (x[:, 0] + 1) / (x[:, 0] + 1).sum(dim=(1, 2), keepdim=True)
    place = torch.arange(SIDE) - (SIDE - 1) / 2
    return torch.stack([(weight.sum(dim=2) * place).sum(dim=1), (weight.sum(dim=1) * place).sum(dim=1)], dim=1)


def test_images_are_shifted_each_in_its_own_way_by_up_to_a_twentieth_of_the_side() -> None:
    found = centres(augment(dots(300), seeded_rng(0)))
    assert found.abs().max() < 0.05 * SIDE * 1.5  # shifts are scaled with the image
    assert found.std(dim=0).tolist() == pytest.approx([0.05 * SIDE / 3**0.5] * 2, rel=0.15)
    assert found.mean(dim=0).abs().max() < 0.15
    assert len({tuple(centre.tolist()) for centre in found}) == 300


def test_they_are_turned_and_scaled_a_little() -> None:
    bars = torch.full((300, 1, SIDE, SIDE), -1.0)
    bars[:, :, 4:28, 15:17] = 1.0
    moved = augment(bars, seeded_rng(1))
    weight = moved[:, 0] + 1
    place = torch.arange(SIDE) - (SIDE - 1) / 2
    lean = (weight * place[:, None] * place).sum(dim=(1, 2)) / (weight * place[:, None].square()).sum(dim=(1, 2))
    assert 0.1 < lean.std() < 0.25  # of turns by 0.12 rad and shears by 0.1
    sums = weight.sum(dim=(1, 2))
    assert 0.05 < (sums / sums.mean()).std() < 0.25


def test_what_is_even_stays_so_to_the_border() -> None:
    grey = torch.full((8, 3, SIDE, SIDE), 0.25)
    torch.testing.assert_close(augment(grey, seeded_rng(2)), grey)


def test_a_draw_decides_and_the_images_given_stay_as_they_are() -> None:
    x = to_float(torch.randint(0, 256, (4, 1, SIDE, SIDE), dtype=torch.uint8))
    before = x.clone()
    first, same, other = augment(x, seeded_rng(3)), augment(x, seeded_rng(3)), augment(x, seeded_rng(4))
    assert torch.equal(x, before)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert first.shape == x.shape
    assert first.abs().max() <= 1.0
    assert first.is_contiguous(memory_format=torch.channels_last)


def test_a_stopped_training_goes_on_with_the_images_it_would_have_seen(tmp_path: Path) -> None:
    assert_resumes(network(Method.BIGAN), training(Method.BIGAN, steps=20, augment=True), tmp_path)


def test_no_image_is_trained_on_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def note(x: Tensor, rng: torch.Generator, ranks: Ranks) -> Tensor:
        seen.append(augment(x, rng, ranks))
        return seen[-1]

    monkeypatch.setattr(loop, "augment", note)
    run(training(Method.BIGAN, steps=3, d_steps=2, augment=True))
    assert len(seen) == 6
    assert len({batch.numpy().tobytes() for batch in seen}) == 6
    plain, moved = (run(training(Method.BIGAN, steps=3, augment=augmented)).networks for augmented in (False, True))
    assert len(seen) == 9
    assert not torch.equal(first_weight(plain), first_weight(moved))


def test_auxiliary_discriminators_see_images_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    config = training(Method.BIGAN, augment=True)
    plan = network(Method.BIGAN).model_copy(update={"synthetic_defects": True, "rotation": True})
    state = new_state(plan, config, CPU)
    shown: list[Tensor] = []

    def note(auxiliary: object, optimizer: object, x: Tensor, *rest: object) -> dict[str, Tensor]:
        shown.append(x)
        return {}

    monkeypatch.setattr(loop, "auxiliary_step", note)
    x = to_float(torch.from_numpy(digits(8)))
    loop._step(state, [x], config, x)
    assert len(shown) == 2
    assert all(torch.equal(seen, x) for seen in shown)
