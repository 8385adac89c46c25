"""One training step of each kind: a game between discriminators and G (and E), an autoencoder's, f-AnoGAN's encoder's.

Shapes: x (b, c, size, size) in [-1, 1]; z (b, latent_dim) from the prior. Each step returns what the curves show, as
tensors still on the device.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from anomaly.config import TrainingConfig, default_feature_layer
from anomaly.networks import Networks
from anomaly.runtime import autocast, widened
from anomaly.scoring.terms import izi_f
from anomaly.training.criterion import mean_distance
from anomaly.training.curves import Curves
from anomaly.training.losses import (
    cycle_x_loss,
    cycle_z_loss,
    discriminator_loss,
    encoder_loss,
    generator_loss,
    gradient_penalty,
    value,
)
from anomaly.training.optimizers import descend
from anomaly.training.state import TrainingState


@dataclass(frozen=True)
class _Contest:
    """A discriminator, with its arguments for real and for fake."""

    judge: nn.Module
    real: tuple[Tensor, ...]
    fake: tuple[Tensor, ...]

    def detached(self) -> "_Contest":
        return _Contest(self.judge, tuple(t.detach() for t in self.real), tuple(t.detach() for t in self.fake))


@dataclass(frozen=True)
class _Move:
    """What G and E compute from a batch: G(z), and with an encoder E(x), G(E(x)), E(G(z)), where they are needed."""

    x: Tensor
    z: Tensor
    x_fake: Tensor
    z_hat: Tensor | None = None
    x_cycle: Tensor | None = None
    z_cycle: Tensor | None = None


def game_step(state: TrainingState, batches: Sequence[tuple[Tensor, Tensor]], config: TrainingConfig) -> Curves:
    """Algorithm 1 of Goodfellow 2014: D moves `d_steps` times, then G (and E) `g_steps` times, each on its own (x, z).

    But G's first move answers D's last one on the same batch, so there are d_steps + g_steps − 1 batches.

    The game is by the networks: of images, min_G max_D V(D, G); of pairs (x, E(x)) against (G(z), z), BiGAN (Donahue
    2017, eq. 2); with D_xx and D_zz, ALAD (Zenati 2018b), which tells (x, x) from (x, G(E(x))) and (z, z) from
    (z, E(G(z))) as well.
    """
    curves: Curves = {}
    for number, (x, z) in enumerate(batches, start=1):
        g_moves = number >= config.d_steps
        with torch.set_grad_enabled(g_moves), autocast(x.device, config.precision):
            move = _move(state.networks, x, z)
        if number <= config.d_steps:
            curves |= _move_discriminators(state, move, config)
        if g_moves:
            curves |= _move_generator(state, move, config)
    return curves


def autoencoder_step(state: TrainingState, x: Tensor, config: TrainingConfig) -> Curves:
    """E and G learn to reconstruct: mean |x − G(E(x))|, and nothing else."""
    networks = state.networks
    with autocast(x.device, config.precision):
        loss = cycle_x_loss(x, widened(networks.G(networks.encode(x))))
    grad_g = descend(state.optimizer_g, loss, state.ranks)
    return {"cycle_x": loss.detach(), "grad_g": grad_g}


def encoder_step(state: TrainingState, x: Tensor, config: TrainingConfig) -> Curves:
    """E learns izi_f, in φ's features where there are any; G and D do not change (f-AnoGAN: Schlegl 2019, §2.2)."""
    networks = state.networks
    networks.eval().requires_grad_(False)
    assert networks.E is not None
    networks.E.train().requires_grad_(True)
    with autocast(x.device, config.precision):
        x_hat = networks.G(networks.encode(x))
        layer = default_feature_layer(networks.plan) or ""
        f, f_hat = networks.features_at(layer, x), networks.features_at(layer, x_hat)
        loss = izi_f(x, widened(x_hat), widened(f), widened(f_hat)).mean()
    grad_g = descend(state.optimizer_g, loss, state.ranks)
    return {"izi_f": loss.detach(), "grad_g": grad_g}


def _move(networks: Networks, x: Tensor, z: Tensor) -> _Move:
    x_fake = networks.G(z)
    if not networks.plan.joint:
        return _Move(x, z, x_fake)
    z_hat = networks.encode(x)
    if networks.D_xx is None:
        return _Move(x, z, x_fake, z_hat)
    return _Move(x, z, x_fake, z_hat, networks.G(z_hat), networks.encode(x_fake))


def _contests(networks: Networks, move: _Move) -> Iterator[_Contest]:
    assert networks.D is not None
    if move.z_hat is None:
        yield _Contest(networks.D, (move.x,), (move.x_fake,))
    else:
        yield _Contest(networks.D, (move.x, move.z_hat), (move.x_fake, move.z))
    if networks.D_xx is not None and move.x_cycle is not None:
        yield _Contest(networks.D_xx, (_pair(move.x, move.x),), (_pair(move.x, move.x_cycle),))
    if networks.D_zz is not None and move.z_cycle is not None:
        yield _Contest(networks.D_zz, (_pair(move.z, move.z),), (_pair(move.z, move.z_cycle),))


def _pair(a: Tensor, b: Tensor) -> Tensor:
    return torch.cat([a, b.to(a.dtype)], dim=1)


def _move_discriminators(state: TrainingState, move: _Move, config: TrainingConfig) -> Curves:
    networks = state.networks
    assert state.optimizer_d is not None
    loss_d = torch.zeros((), device=move.x.device)
    outputs: list[tuple[Tensor, Tensor]] = []
    with autocast(move.x.device, config.precision):
        for contest in map(_Contest.detached, _contests(networks, move)):
            real, fake = _outputs(contest, apart=networks.plan.discriminator_batch_norm)
            outputs.append((real, fake))
            loss_d = loss_d + discriminator_loss(config.loss, real, fake)
            if config.gradient_penalty:
                judge = partial(_logits, contest.judge)
                penalty = gradient_penalty(judge, contest.real, contest.fake, state.ranks)
                loss_d = loss_d + config.gradient_penalty * penalty
    grad_d = descend(state.optimizer_d, loss_d, state.ranks)
    if config.clip_weights:
        with torch.no_grad():
            for weight in state.optimizer_d.param_groups[0]["params"]:
                weight.clamp_(-config.clip_weights, config.clip_weights)
    return {"loss_d": loss_d.detach(), **_curves(config, move, *outputs[0]), "grad_d": grad_d}


def _move_generator(state: TrainingState, move: _Move, config: TrainingConfig) -> Curves:
    networks = state.networks
    _let_learn(networks, learn=False)
    losses: Curves = {}
    with autocast(move.x.device, config.precision):
        loss_g = torch.zeros((), device=move.x.device)
        for contest in _contests(networks, move):
            if any(t.requires_grad for t in contest.real):
                real, fake = _outputs(contest, apart=networks.plan.discriminator_batch_norm)
                loss_g = loss_g + encoder_loss(config.loss, real)
            else:
                fake = _logits(contest.judge, *contest.fake)
            loss_g = loss_g + generator_loss(config.loss, fake)
        loss = config.adversarial * loss_g
        if move.z_hat is not None:
            x_cycle = networks.G(move.z_hat) if move.x_cycle is None else move.x_cycle
            z_cycle = networks.encode(move.x_fake) if move.z_cycle is None else move.z_cycle
            losses = {
                "cycle_x": cycle_x_loss(move.x, widened(x_cycle)),
                "cycle_z": cycle_z_loss(move.z, widened(z_cycle)),
            }
            loss = loss + config.cycle_x * losses["cycle_x"] + config.cycle_z * losses["cycle_z"]
        elif networks.E is not None and state.encoder_from is None:
            # beside the game, which it does not touch: a start for the search
            losses = {"cycle_z": cycle_z_loss(move.z, widened(networks.encode(move.x_fake.detach())))}
            loss = loss + losses["cycle_z"]
    grad_g = descend(state.optimizer_g, loss, state.ranks)
    _let_learn(networks, learn=True)
    return {"loss_g": loss_g.detach(), **{name: t.detach() for name, t in losses.items()}, "grad_g": grad_g}


def _outputs(contest: _Contest, *, apart: bool) -> tuple[Tensor, Tensor]:
    """D of the reals and of the fakes (b,): as one batch, or as two, so that a batch norm does not mix them."""
    if apart:
        return _logits(contest.judge, *contest.real), _logits(contest.judge, *contest.fake)
    both = [torch.cat([a, b.to(a.dtype)]) for a, b in zip(contest.real, contest.fake, strict=True)]
    real, fake = _logits(contest.judge, *both).chunk(2)
    return real, fake


def _logits(judge: nn.Module, *inputs: Tensor) -> Tensor:
    return widened(judge(*inputs).logits)


def _let_learn(networks: Networks, *, learn: bool) -> None:
    for discriminator in networks.discriminators():
        discriminator.requires_grad_(learn)


def _curves(config: TrainingConfig, move: _Move, real: Tensor, fake: Tensor) -> Curves:
    """V(D, G), D(x), D(G(z)), D's accuracy, and how much G's samples differ from each other against the data's."""
    real, fake = real.detach(), fake.detach()
    d_real, d_fake = (real, fake) if config.loss.has_critic else (real.sigmoid(), fake.sigmoid())
    return {
        "value": value(config.loss, real, fake),
        "d_real": d_real.mean(),
        "d_fake": d_fake.mean(),
        "accuracy": torch.cat([real > 0, fake <= 0]).float().mean(),
        "diversity": mean_distance(move.x_fake.detach()) / mean_distance(move.x).clamp_min(1e-6),
    }
