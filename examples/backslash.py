"""A GAN small enough to print: G draws 2 × 2 backslashes, bright on the diagonal, from one number.

    python -m examples.backslash [--seed N]

D(x) = σ(w·x + b) has five weights and G(z) = σ(w·z + b), pixel by pixel, eight. First D and G with weights set by hand,
as one does it on paper; then both from random weights, by the losses that the images of `anomaly train` are learned by.

On paper D's weights are (+1, −1, −1, +1) and its bias −1. Of (0.25, 1.00; 0.50, 0.75) it says σ(−1.50) = 0.18; the
notes print 0.37 there, which is σ(−0.50), the value without the bias.

Shapes: images x (b, 4) in [0, 1], the rows of the picture one after the other; z (b, 1) in [0, 1]; D's logits (b,).
"""

import argparse
import copy

import torch
from torch import Tensor, nn

from anomaly.config import Loss
from anomaly.training.losses import discriminator_loss, generator_loss

SIGNS = (1.0, -1.0, -1.0, 1.0)  # bright, dark, dark, bright
NOISE = 0.25  # how far a pixel of the data may be from 0 or 1
SHADES = " ░▒▓█"
BATCH_SIZE = 64
STEPS = 1000
LEARNING_RATE = 1.0
DECAY = 0.1  # pulls D's weights to 0, where they belong at the optimum: D = 1/2; without it D and G keep circling


class Discriminator(nn.Module):
    """w·x + b: the logit of D(x)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 4) → (b,)."""
        logits: Tensor = self.layer(x).squeeze(1)
        return logits


class Generator(nn.Module):
    """σ(w·z + b), pixel by pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 4)

    def forward(self, z: Tensor) -> Tensor:
        """(b, 1) → (b, 4)."""
        x: Tensor = self.layer(z).sigmoid()
        return x


class Pair(nn.Module):
    """D and G with random weights, by torch's global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.D, self.G = Discriminator(), Generator()


def pair_on_paper() -> Pair:
    """D with weights (+1, −1, −1, +1) and bias −1; G with weights and biases ±1 of the same signs."""
    by_hand, signs = Pair(), torch.tensor(SIGNS)
    with torch.no_grad():
        by_hand.D.layer.weight.copy_(signs[None])
        by_hand.D.layer.bias.fill_(-1.0)
        by_hand.G.layer.weight.copy_(signs[:, None])
        by_hand.G.layer.bias.copy_(signs)
    return by_hand


def backslashes(n: int) -> Tensor:
    """The data (n, 4): [[1, 0], [0, 1]], each pixel with noise that keeps it in [0, 1]."""
    return (torch.tensor(SIGNS) > 0).float().lerp(torch.full((n, 4), 0.5), 2 * NOISE * torch.rand(n, 4))


def is_backslash(x: Tensor) -> Tensor:
    """Diagonal > 0.5 > the rest, for each image (b,)."""
    return ((x > 0.5) == (torch.tensor(SIGNS) > 0)).all(dim=1)


def train(seed: int) -> tuple[Pair, Pair]:
    """D and G before and after their game: a move of D, a move of G, `STEPS` times."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        before = Pair()
        after = copy.deepcopy(before)
        _play(after)
    return before, after


def _play(game: Pair) -> None:
    optimizer_d = torch.optim.SGD(game.D.parameters(), LEARNING_RATE, weight_decay=DECAY)
    optimizer_g = torch.optim.SGD(game.G.parameters(), LEARNING_RATE)
    for _ in range(STEPS):
        x, z = backslashes(BATCH_SIZE), torch.rand(BATCH_SIZE, 1)
        loss_d = discriminator_loss(Loss.NON_SATURATING, game.D(x), game.D(game.G(z).detach()))
        _descend(optimizer_d, loss_d)
        loss_g = generator_loss(Loss.NON_SATURATING, game.D(game.G(z)))
        _descend(optimizer_g, loss_g)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def drawing(x: Tensor) -> str:
    """An image (4,) as two lines of text, two letters a pixel, white bright."""
    letters = [SHADES[round(float(value) * (len(SHADES) - 1))] * 2 for value in x]
    return f"{''.join(letters[:2])}\n{''.join(letters[2:])}"


def weights(game: Pair) -> str:
    """All thirteen numbers."""
    rows = [("D", game.D.layer), ("G", game.G.layer)]
    return "\n".join(f"{name}: w = {_row(layer.weight)}, b = {_row(layer.bias)}" for name, layer in rows)


def _row(numbers: Tensor) -> str:
    return " ".join(f"{number:+.2f}" for number in numbers.detach().flatten().tolist())


@torch.no_grad()
def on_paper() -> str:
    """What D and G of `pair_on_paper` say, with the steps between."""
    by_hand = pair_on_paper()
    lines = ["On paper", weights(by_hand)]
    for x in ((1.0, 0.0, 0.0, 1.0), (0.25, 1.0, 0.5, 0.75)):
        logit = by_hand.D(torch.tensor([x]))
        lines.append(f"D of {x}: a = {float(logit):+.2f}, σ(a) = {float(logit.sigmoid()):.2f}")
    z = torch.tensor([[0.7]])
    lines.append(f"G of z = 0.70: a = {_row(by_hand.G.layer(z))}, σ(a) = {_row(by_hand.G(z))}")
    return "\n".join([*lines, drawing(by_hand.G(z)[0])])


@torch.no_grad()
def told(heading: str, game: Pair) -> str:
    """A pair's weights, its images of three z, and how many of a thousand are backslashes."""
    images = game.G(torch.tensor([[0.1], [0.5], [0.9]]))
    share = is_backslash(game.G(torch.linspace(0, 1, 1000)[:, None])).float().mean()
    pictures = [f"G({z}) = {_row(x)}\n{drawing(x)}" for z, x in zip((0.1, 0.5, 0.9), images, strict=True)]
    return "\n".join([heading, weights(game), *pictures, f"backslashes: {share:.0%}"])


def main() -> None:
    """Print it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    before, after = train(seed)
    print("\n\n".join([on_paper(), told("Before training", before), told("After training", after)]))


if __name__ == "__main__":
    main()
