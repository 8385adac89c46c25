"""When to stop, by normal images alone: how well the networks do on normal images that they were not trained on.

With an encoder it is how well they reconstruct them; without one, how close G's samples come to them. Lower is better.
"""

import torch
from torch import Tensor

from anomaly.networks import Networks
from anomaly.runtime import widened


@torch.no_grad()
def stop_criterion(networks: Networks, x: Tensor, z: Tensor) -> float:
    """Mean |x − G(E(x))|, or without E the energy distance of G(z), for x (n, c, size, size) and z (n, latent_dim).

    The networks are judged as they will be used, in evaluation mode, and stay in the mode they were in.
    """
    was_training = networks.training
    networks.eval()
    try:
        if networks.E is not None:
            return float((x - networks.G(networks.encode(x))).abs().mean())
        return energy_distance(x, networks.G(z))
    finally:
        networks.train(was_training)


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E‖x − y‖ − E‖x − x'‖ − E‖y − y'‖ (Székely and Rizzo 2013), estimated without bias.

    Of distributions it is at least 0, and 0 for equal ones only. So the estimate may be a little below 0.
    """
    x, y = x.flatten(1).double(), y.flatten(1).double()
    return float(2 * torch.cdist(x, y).mean() - mean_distance(x) - mean_distance(y))


def mean_distance(x: Tensor) -> Tensor:
    """The mean Euclidean distance of a batch's images or vectors (n, …) from each other, in at least 32 bits."""
    flat = widened(x).flatten(1)
    return torch.cdist(flat, flat).sum() / (len(x) * (len(x) - 1))
