"""The numbers of the worked example, and G's backslashes."""

import pytest
import torch

from examples.backslash import backslashes, drawing, is_backslash, on_paper, pair_on_paper, train

TOLERANCE = 0.005  # the notes have two digits


@pytest.mark.parametrize(("x", "a", "probability"), [((1, 0, 0, 1), 1.0, 0.73), ((0.25, 1, 0.5, 0.75), -1.5, 0.18)])
def test_d_on_paper(x: tuple[float, ...], a: float, probability: float) -> None:
    logit = pair_on_paper().D(torch.tensor([x], dtype=torch.float32)).detach()
    torch.testing.assert_close(logit, torch.tensor([a]))
    torch.testing.assert_close(logit.sigmoid(), torch.tensor([probability]), atol=TOLERANCE, rtol=0)


def test_g_on_paper() -> None:
    G, z = pair_on_paper().G, torch.tensor([[0.7]])
    torch.testing.assert_close(G.layer(z).detach(), torch.tensor([[1.7, -1.7, -1.7, 1.7]]))
    torch.testing.assert_close(G(z).detach(), torch.tensor([[0.85, 0.15, 0.15, 0.85]]), atol=TOLERANCE, rtol=0)


def test_the_program_prints_these_numbers() -> None:
    printed = on_paper()
    assert "a = +1.00, σ(a) = 0.73" in printed
    assert "a = -1.50, σ(a) = 0.18" in printed
    assert "a = +1.70 -1.70 -1.70 +1.70, σ(a) = +0.85 +0.15 +0.15 +0.85" in printed


def test_the_data_are_backslashes_within_the_noise() -> None:
    x = backslashes(1000)
    assert is_backslash(x).all()
    assert 0 <= x.min() < 0.05
    assert 0.95 < x.max() <= 1
    assert ((x > 0.75) | (x < 0.25)).all()


@pytest.mark.parametrize("x", [(1, 1, 0, 1), (0, 0, 0, 0), (0, 1, 1, 0), (1, 0, 0.6, 1)])
def test_other_pictures_are_none(x: tuple[float, ...]) -> None:
    assert not is_backslash(torch.tensor([x])).any()


@pytest.mark.parametrize("seed", range(6))
def test_every_z_becomes_a_backslash(seed: int) -> None:
    before, after = train(seed)
    z = torch.linspace(0, 1, 200)[:, None]
    assert not is_backslash(before.G(z)).all()
    assert is_backslash(after.G(z)).all()


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = train(3)[1], train(3)[1]
    assert all(torch.equal(a, b) for a, b in zip(first.G.parameters(), second.G.parameters(), strict=True))


def test_a_drawing() -> None:
    assert drawing(torch.tensor([1.0, 0.0, 0.5, 0.75])) == "██  \n▒▒▓▓"
