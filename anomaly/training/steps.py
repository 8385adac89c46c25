"""One training step of each game: D moves, then G (and E) against the moved D.

Shapes: x (b, c, size, size) in [-1, 1]; z (b, latent_dim) from N(0, 1). Each step returns what the curves show, as
tensors still on the device. Both halves of a D pass go through it as one batch of 2b.
"""

import torch
from torch import Tensor

from anomaly.config import TrainingConfig
from anomaly.runtime import autocast
from anomaly.training.losses import cycle_x_loss, cycle_z_loss, discriminator_loss, encoder_loss, generator_loss
from anomaly.training.state import TrainingState


def gan_step(state: TrainingState, x: Tensor, z: Tensor, config: TrainingConfig) -> dict[str, Tensor]:
    """The GAN that AnoGAN searches: min_G max_D E log D(x) + E log(1 − D(G(z))) (Goodfellow 2014).

    Where there is an encoder, it learns z from G(z) beside the game and does not touch it: a start for the search.
    """
    networks = state.networks
    with autocast(x.device, config.precision):
        x_fake = networks.G(z)
        logits_real, logits_fake = networks.D(torch.cat([x, x_fake.detach()])).logits.float().chunk(2)
        loss_d = discriminator_loss(logits_real, logits_fake)
    _descend(state.optimizer_d, loss_d)
    curves = _curves(loss_d, logits_real, logits_fake)

    networks.D.requires_grad_(False)
    with autocast(x.device, config.precision):
        loss_g = generator_loss(networks.D(x_fake).logits.float())
        loss = loss_g
        if networks.E is not None:
            curves["cycle_z"] = cycle_z_loss(z, networks.E(x_fake.detach()).float())
            loss = loss_g + curves["cycle_z"]
    _descend(state.optimizer_g, loss)
    networks.D.requires_grad_(True)
    return curves | {"loss_g": loss_g.detach()}


def bigan_step(state: TrainingState, x: Tensor, z: Tensor, config: TrainingConfig) -> dict[str, Tensor]:
    """BiGAN: min_{G,E} max_D E log D(x, E(x)) + E log(1 − D(G(z), z)) (Donahue 2017, eq. 2), with cycle terms."""
    networks = state.networks
    with autocast(x.device, config.precision):
        x_fake, z_hat = networks.G(z), networks.encode(x)
        pairs = torch.cat([x, x_fake.detach()]), torch.cat([z_hat.detach(), z.to(z_hat.dtype)])
        logits_real, logits_fake = networks.D(*pairs).logits.float().chunk(2)
        loss_d = discriminator_loss(logits_real, logits_fake)
    _descend(state.optimizer_d, loss_d)
    curves = _curves(loss_d, logits_real, logits_fake)

    networks.D.requires_grad_(False)
    with autocast(x.device, config.precision):
        pairs = torch.cat([x, x_fake]), torch.cat([z_hat, z.to(z_hat.dtype)])
        logits_real, logits_fake = networks.D(*pairs).logits.float().chunk(2)
        loss_g = generator_loss(logits_fake) + encoder_loss(logits_real)
        cycle_x = cycle_x_loss(x, networks.G(z_hat).float())
        cycle_z = cycle_z_loss(z, networks.encode(x_fake).float())
        loss = loss_g + config.cycle_x * cycle_x + config.cycle_z * cycle_z
    _descend(state.optimizer_g, loss)
    networks.D.requires_grad_(True)
    return curves | {"loss_g": loss_g.detach(), "cycle_x": cycle_x.detach(), "cycle_z": cycle_z.detach()}


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _curves(loss_d: Tensor, logits_real: Tensor, logits_fake: Tensor) -> dict[str, Tensor]:
    d_real, d_fake = logits_real.detach().sigmoid().mean(), logits_fake.detach().sigmoid().mean()
    return {"loss_d": loss_d.detach(), "d_real": d_real, "d_fake": d_fake}
