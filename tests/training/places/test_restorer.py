"""E and G learn what normal maps show, in its place, and nothing else."""

import pytest
import torch
from torch import Tensor

from anomaly.config import Method, TrainingConfig
from anomaly.errors import DivergedError
from anomaly.networks.restorer import MapRestorer
from anomaly.training.places.restorer import train_restorer
from anomaly.training.places.steps import StepWatch

C, SIDE = 6, 8
TRAINING = TrainingConfig(method=Method.FEATURES, steps=120)


def normals(num: int, seed: int) -> Tensor:
    """Maps of two objects, left and right of each other, each as bright as it likes."""
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, C, 1, 1, generator=torch.Generator().manual_seed(9))
    maps = torch.cat([first.expand(C, SIDE, SIDE // 2), second.expand(C, SIDE, SIDE // 2)], dim=2)
    bright = 1 + 0.3 * torch.rand(num, 1, 1, 1, generator=generator)
    return (bright * maps + 0.05 * torch.randn(num, C, SIDE, SIDE, generator=generator)).half()


def spoilt(num: int, seed: int) -> Tensor:
    """Pairs of normals, and the same with something that no normal shows in a quarter of them."""
    pairs = normals(num, seed)[:, None].repeat(1, 2, 1, 1, 1)
    for number in range(num):
        top, left = number % 2 * SIDE // 2, number // 2 % 2 * SIDE // 2
        vector = torch.randn(C, generator=torch.Generator().manual_seed(100 + number))
        pairs[number, 1, :, top : top + SIDE // 2, left : left + SIDE // 2] = vector[:, None, None].half()
    return pairs


@pytest.fixture(scope="module")
def taught() -> MapRestorer:
    coarse, restorer = normals(64, seed=0), MapRestorer(C)
    restorer.standardise_by(coarse.float().permute(0, 2, 3, 1).reshape(-1, C))
    history = train_restorer(restorer, coarse, spoilt(32, seed=2), TRAINING)
    assert [row["step"] for row in history] == list(range(1, 121))
    assert history[-1]["loss_g"] < 0.2 * history[0]["loss_g"]
    return restorer.eval()


def test_normals_that_it_has_not_seen_are_restored(taught: MapRestorer) -> None:
    maps = normals(16, seed=1).float()
    assert taught.distance(maps, maps).mean() < 0.05


def test_what_normals_show_elsewhere_is_not_restored_here(taught: MapRestorer) -> None:
    """A memory that compares with anywhere would know it."""
    maps = normals(16, seed=1).float()
    moved = maps.clone()
    moved[:, :, 2:4, 1:3] = maps[:, :, 2:4, 5:7]
    distance = taught.distance(moved, moved)
    assert (distance[:, 2:4, 1:3].amin(dim=(1, 2)) > 3 * distance[:, 6:, 5:].amax(dim=(1, 2))).all()


def test_what_was_spoilt_is_drawn_as_it_was(taught: MapRestorer) -> None:
    wanted, seen = spoilt(16, seed=3).float().unbind(1)
    is_spoilt = (wanted != seen).any(dim=1)
    assert taught.distance(seen, wanted)[is_spoilt].mean() < 0.1 * taught.distance(seen, seen)[is_spoilt].mean()


def test_the_same_seed_gives_the_same_weights_and_disturbs_no_other_draw() -> None:
    coarse, brief = normals(20, seed=0), TRAINING.model_copy(update={"steps": 3})
    found = []
    for _ in range(2):
        restorer, before = MapRestorer(C), torch.get_rng_state()
        train_restorer(restorer, coarse, spoilt(8, seed=2), brief)
        assert torch.equal(before, torch.get_rng_state())
        found.append(restorer.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_it_stops_when_told() -> None:
    seen: list[int] = []

    def should_stop(step: int, row: dict[str, float]) -> bool:
        seen.append(step)
        return step >= 20

    history = train_restorer(MapRestorer(C), normals(20, seed=0), spoilt(8, seed=2), TRAINING, StepWatch(should_stop))
    assert seen == [10, 20]
    assert len(history) == 20


def test_maps_that_are_not_finite_end_it() -> None:
    coarse = normals(20, seed=0)
    coarse[:, 0] = torch.nan
    with pytest.raises(DivergedError, match="loss_g"):
        train_restorer(MapRestorer(C), coarse, spoilt(8, seed=2), TRAINING)
