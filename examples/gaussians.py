"""Two questions about GANs with answers in closed form, on data of one dimension.

    python -m examples.gaussians [--out docs/images] [--seed N]

1. What does the best D say? D*(x) = p_data(x) / (p_data(x) + p_g(x)) (Goodfellow 2014, proposition 1). D alone is
   trained on N(0, 1) against N(μ, 1) and compared with it. Where p_g = p_data, D* = 1/2 everywhere and V = −log 4.
2. What does G represent: the inverse CDF? With u uniform on (0, 1), F⁻¹(u) is distributed as the data. So is
   F⁻¹(1 − u), and so are maps that fold: the game asks for a distribution, not for a map. A small G is trained and
   compared.

Writes `optimal_discriminator.png` and `inverse_cdf.png` into the folder, and prints the largest errors.

Shapes: x, z (n, 1); D's logits (n,).
"""

import argparse
import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from anomaly.config import Loss, Prior
from anomaly.networks import draw
from anomaly.networks.mlp import hidden_layer
from anomaly.report.plots import LIGHT, draw_png
from anomaly.training.losses import discriminator_loss, generator_loss, value

MEAN = 2.0  # μ of the first question
UNITS = 32
D_ONLY_STEPS, D_ONLY_BATCH = 600, 2048
GAME_STEPS, GAME_BATCH = 1500, 512
DECAY = 0.99  # of the average over G's weights, which is the G that counts
MIDDLE = (0.05, 0.95)  # the u at which G is compared: beyond, F⁻¹ goes to infinity


@dataclass(frozen=True)
class Gaussian:
    """N(mean, std²) in one dimension."""

    mean: float
    std: float

    def sample(self, n: int) -> Tensor:
        """(n, 1), by torch's global generator."""
        return self.mean + self.std * torch.randn(n, 1)

    def log_density(self, x: Tensor) -> Tensor:
        """The natural logarithm of p(x)."""
        return -((x - self.mean) / self.std).square() / 2 - math.log(self.std * math.sqrt(2 * math.pi))

    def density(self, x: Tensor) -> Tensor:
        """The density p(x)."""
        return self.log_density(x).exp()

    def quantile(self, u: Tensor) -> Tensor:
        """F⁻¹(u)."""
        x: Tensor = self.mean + self.std * torch.special.ndtri(u)
        return x


DATA = Gaussian(1.0, 1.0)  # of the second question


def optimal_discriminator(data: Gaussian, fake: Gaussian, x: Tensor) -> Tensor:
    """D*(x) = p_data(x) / (p_data(x) + p_g(x)) = σ(log p_data(x) − log p_g(x))."""
    return (data.log_density(x) - fake.log_density(x)).sigmoid()


def optimal_value(data: Gaussian, fake: Gaussian) -> float:
    """V(D*, G) = ∫ p_data log D* + p_g log(1 − D*) dx = −log 4 + 2·JSD(p_data, p_g), by the trapezoidal rule."""
    low = min(data.mean - 8 * data.std, fake.mean - 8 * fake.std)
    high = max(data.mean + 8 * data.std, fake.mean + 8 * fake.std)
    x = torch.linspace(low, high, 20_001, dtype=torch.float64)
    logit = data.log_density(x) - fake.log_density(x)
    terms = data.density(x) * logsigmoid(logit) + fake.density(x) * logsigmoid(-logit)
    return float(torch.trapezoid(terms, x))


def train_discriminator(data: Gaussian, fake: Gaussian, seed: int) -> nn.Sequential:
    """D's side of the game, against a G that rests, with a rate that falls to nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        D = _discriminator()
        optimizer = torch.optim.Adam(D.parameters(), lr=0.01)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, D_ONLY_STEPS)
        for _ in range(D_ONLY_STEPS):
            real, fakes = data.sample(D_ONLY_BATCH), fake.sample(D_ONLY_BATCH)
            _descend(optimizer, discriminator_loss(Loss.MINIMAX, D(real), D(fakes)))
            rate.step()
    return D


@torch.no_grad()
def value_of(D: nn.Module, data: Gaussian, fake: Gaussian, *, seed: int, n: int = 200_000) -> float:
    """V(D, G) on fresh samples."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return float(value(Loss.MINIMAX, D(data.sample(n)), D(fake.sample(n))))


def train_generator(data: Gaussian, seed: int) -> nn.Sequential:
    """G by the non-saturating game, a move of D and a move of G in turn; the average over G's weights.

    G's z is uniform on (−1, 1), so u = (z + 1)/2. The rates fall to nothing; D's weights are pulled to 0.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        D, G = _discriminator(), _generator()
        mean_G = copy.deepcopy(G).requires_grad_(False)
        draws = torch.Generator().manual_seed(seed)
        optimizer_d = torch.optim.Adam(D.parameters(), lr=0.01, betas=(0.5, 0.9), weight_decay=1e-3)
        optimizer_g = torch.optim.Adam(G.parameters(), lr=0.003, betas=(0.5, 0.9))
        rates = [torch.optim.lr_scheduler.CosineAnnealingLR(o, GAME_STEPS) for o in (optimizer_d, optimizer_g)]
        for _ in range(GAME_STEPS):
            x, z = data.sample(GAME_BATCH), draw(Prior.UNIFORM, (GAME_BATCH, 1), draws)
            _descend(optimizer_d, discriminator_loss(Loss.NON_SATURATING, D(x), D(G(z).detach())))
            _descend(optimizer_g, generator_loss(Loss.NON_SATURATING, D(G(z))))
            for mean, weight in zip(mean_G.parameters(), G.parameters(), strict=True):
                mean.lerp_(weight.detach(), 1 - DECAY)
            for rate in rates:
                rate.step()
    return mean_G


@torch.no_grad()
def generated(G: nn.Module, u: Tensor) -> Tensor:
    """G at u (n,) in (0, 1): (n,)."""
    x: Tensor = G(2 * u[:, None] - 1)[:, 0]
    return x


def map_error(G: nn.Module, data: Gaussian) -> float:
    """The largest |G − F⁻¹(u)| over the middle, or |G − F⁻¹(1 − u)| if smaller, in the data's standard deviations."""
    u = torch.linspace(*MIDDLE, 481)
    x = generated(G, u)
    return min(float((x - data.quantile(v)).abs().max()) for v in (u, 1 - u)) / data.std


def quantile_error(G: nn.Module, data: Gaussian) -> float:
    """The largest |quantile of G's samples − F⁻¹| over the middle, in standard deviations: no matter how G maps."""
    n = 10_001
    levels = torch.linspace(*MIDDLE, 481)
    x = generated(G, (torch.arange(n) + 0.5) / n)
    return float((torch.quantile(x, levels) - data.quantile(levels)).abs().max()) / data.std


def _discriminator() -> nn.Sequential:
    hidden = [hidden_layer(1, UNITS, leak=0.2), hidden_layer(UNITS, UNITS, leak=0.2)]
    return nn.Sequential(*hidden, nn.Linear(UNITS, 1), nn.Flatten(0))


def _generator() -> nn.Sequential:
    return nn.Sequential(hidden_layer(1, UNITS, leak=0.2), hidden_layer(UNITS, UNITS, leak=0.2), nn.Linear(UNITS, 1))


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def draw_discriminator(D: nn.Module, data: Gaussian, fake: Gaussian) -> bytes:
    """A PNG of both densities, D* and the D that was learned."""
    x = torch.linspace(data.mean - 3 * data.std, fake.mean + 3 * fake.std, 300)
    with torch.no_grad():
        learned = D(x[:, None]).sigmoid()

    def curves(axes: Axes) -> None:
        for name, gaussian, colour in (("p_data", data, LIGHT.normal), ("p_g", fake, LIGHT.anomalous)):
            axes.fill_between(x, gaussian.density(x), color=colour, alpha=0.25, linewidth=0, label=name)
        axes.plot(
            x,
            optimal_discriminator(data, fake, x),
            color=LIGHT.muted,
            alpha=0.3,
            linewidth=7,
            label="D* = p_data/(p_data + p_g)",
        )
        axes.plot(x, learned, color=LIGHT.ink, linewidth=1.3, label="D, learned")
        _label(axes, "x", "D(x), and densities")

    return draw_png("The best discriminator", curves, LIGHT)


def draw_inverse_cdf(G: nn.Module, data: Gaussian) -> bytes:
    """A PNG of F⁻¹(u), F⁻¹(1 − u) and the G that was learned."""
    u = torch.linspace(0.002, 0.998, 500)

    def curves(axes: Axes) -> None:
        axes.plot(u, data.quantile(u), color=LIGHT.normal, alpha=0.35, linewidth=7, label="F⁻¹(u)")
        axes.plot(u, data.quantile(1 - u), color=LIGHT.anomalous, alpha=0.25, linewidth=7, label="F⁻¹(1 − u)")
        axes.plot(u, generated(G, u), color=LIGHT.ink, linewidth=1.3, label="G, learned")
        _label(axes, "u, uniform on (0, 1)", "x")

    return draw_png("What G represents: an inverse CDF", curves, LIGHT)


def _label(axes: Axes, xlabel: str, ylabel: str) -> None:
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(frameon=False, fontsize=8, labelcolor=LIGHT.ink)


def main() -> None:
    """Train both, print the errors, and draw them where a folder is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="the folder for the figures; none are drawn if left out")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data, x = Gaussian(0.0, 1.0), torch.linspace(-3, 3, 601)
    for mean in (0.0, MEAN):
        fake = Gaussian(mean, 1.0)
        D = train_discriminator(data, fake, options.seed)
        with torch.no_grad():
            error = (D((x + mean / 2)[:, None]).sigmoid() - optimal_discriminator(data, fake, x + mean / 2)).abs().max()
        found, best = value_of(D, data, fake, seed=options.seed), optimal_value(data, fake)
        print(f"N(0, 1) against N({mean:g}, 1): |D − D*| at most {error:.3f}, V = {found:.3f}, of D* {best:.3f}")
    G = train_generator(DATA, options.seed)
    print(
        f"G against F⁻¹: {map_error(G, DATA):.2f} std at most as a map, {quantile_error(G, DATA):.2f} as a distribution"
    )
    if options.out:
        pictures: dict[str, Callable[[], bytes]] = {
            "optimal_discriminator.png": lambda: draw_discriminator(D, data, fake),
            "inverse_cdf.png": lambda: draw_inverse_cdf(G, DATA),
        }
        options.out.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            (options.out / name).write_bytes(picture())
            print(options.out / name)


if __name__ == "__main__":
    main()
