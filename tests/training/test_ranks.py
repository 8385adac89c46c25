"""Two ranks compute what one does. The ranks are processes over gloo, which do all cases one after the other."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.multiprocessing.spawn import spawn

from anomaly.training.auxiliary import _share_of_mean
from anomaly.training.ranks import Ranks
from tests.training.ranked import CASES, SIZE, free_port, in_double, rank, restore_maps, result, teach_places, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what one rank and two have learnt."""
    folder = tmp_path_factory.mktemp("ranks")
    spawn(rank, (folder, free_port()), SIZE)  # type: ignore[no-untyped-call]
    with pytest.MonkeyPatch.context() as patch, in_double(patch):
        for name in CASES:
            train(folder, name)
        teach_places(folder)
        restore_maps(folder)
    return folder


@pytest.mark.parametrize("name", list(CASES))
def test_two_ranks_with_half_a_batch_each_learn_what_one_learns(trained: Path, name: str) -> None:
    """In double precision: losses as far as rows keep digits, and weights to ten digits after ten steps."""
    one, two = result(trained, name, 1), result(trained, name, 2)
    assert one.keys() == two.keys()
    assert len(one["curve/step"]) >= 10
    for key, value in one.items():
        if key != "curve/diversity":  # of pairs of images, of which each rank sees some
            torch.testing.assert_close(two[key], value, rtol=2e-6 if "curve" in key else 1e-10, atol=1e-10, msg=key)


@pytest.mark.parametrize("name", ["places", "restored"])
def test_two_ranks_teach_networks_of_places_what_one_teaches(name: str, trained: Path) -> None:
    one, two = result(trained, name, 1), result(trained, name, 2)
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=2e-6 if "curve" in key else 1e-10, atol=1e-10, msg=key)


def test_a_resumed_run_of_two_ranks_ends_in_the_same_bits(trained: Path) -> None:
    """Stopped where the encoder follows the game."""
    whole, resumed = (result(trained, f"f-anogan{how}", 2) for how in ("", " resumed"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


@pytest.mark.parametrize("num_ranks", [2, 3, 4, 8])
def test_examples_that_cannot_be_divided_evenly_count_alike(num_ranks: int) -> None:
    values = torch.arange(6.0, requires_grad=True)
    everyone = [Ranks(rank, num_ranks) for rank in range(num_ranks)]
    shares = [_share_of_mean(ranks.own(values).mean(), len(values), ranks) for ranks in everyone]
    mean = torch.stack(shares).mean()
    mean.backward()  # type: ignore[no-untyped-call]
    assert mean.item() == pytest.approx(2.5)
    torch.testing.assert_close(values.grad, torch.full((6,), 1 / 6))


def test_a_rank_without_examples_gives_no_gradient() -> None:
    layer = nn.Conv2d(1, 2, 3)
    loss = _share_of_mean(layer(torch.zeros(0, 1, 8, 8)).square().mean(), 6, Ranks(7, 8))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert layer.weight.grad is not None
    assert not layer.weight.grad.any()
