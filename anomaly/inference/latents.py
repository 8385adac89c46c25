"""Latents by search: where the search of each image starts, and what it minimises.

Shapes: pixels (n, c, size, size) uint8; x (n, c, size, size) in [-1, 1]; latents (n, latent_dim).
Source: Schlegl et al. 2017 (AnoGAN), §2.2.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.config import SearchConfig, sees_latent
from anomaly.inference.graph import VERDICTS, EvidenceGraph
from anomaly.inference.search import Objective, search_latents
from anomaly.networks import draw
from anomaly.runtime import seeded_rng
from anomaly.scoring.terms import anomaly_score, feature_matching, residual

NUM_SLOTS = 64  # starts searched at once
SEARCH_CHUNK = 256  # images whose features are held at once


def search_images(
    graph: EvidenceGraph,
    pixels: NDArray[np.uint8],
    search: SearchConfig,
    feature_weight: float,
    to_x: Callable[[NDArray[np.uint8]], Tensor],
) -> Tensor:
    """z_hat (n, latent_dim) of images, in chunks that bound the memory; `to_x` puts pixels on the device."""
    found = []
    for i in range(0, len(pixels), SEARCH_CHUNK):
        x = to_x(pixels[i : i + SEARCH_CHUNK])
        starts = _starts(graph, pixels[i : i + SEARCH_CHUNK], x, search)
        found.append(search_latents(_loss(graph, x, search, feature_weight), starts, search, num_slots=NUM_SLOTS)[0])
    return torch.cat(found)


def _loss(graph: EvidenceGraph, x: Tensor, search: SearchConfig, feature_weight: float) -> Objective:
    """A(x; z) = (1 − λ)·R(x) + λ·L of the graph's terms at each z, L by the search's objective.

    A joint D judges (x, z), as where z is E(x). Features of x are computed once, unless they depend on z. For both see
    `SearchConfig.pairs`.
    """
    networks, layer = graph.networks, graph.feature_layer or ""
    by_features = search.objective == "feature-matching"
    features = None
    if by_features and not (search.pairs and sees_latent(networks.plan, layer)):
        z_any = torch.zeros(len(x), networks.plan.latent_dim, device=x.device)
        with torch.no_grad():
            features = networks.features_at(layer, x, z_any)

    def loss(images: Tensor, z: Tensor) -> Tensor:
        own, x_hat = x[images], networks.G(z)
        if by_features:
            f = networks.features_at(layer, own, z) if features is None else features[images]
            discrimination = feature_matching(f, networks.features_at(layer, x_hat, z))
        else:
            judged = own if search.pairs and networks.plan.joint else x_hat
            discrimination = VERDICTS[graph.verdict](networks.judge(judged, z).logits)
        return anomaly_score(residual(own, x_hat), discrimination, feature_weight)

    return loss


def _starts(graph: EvidenceGraph, pixels: NDArray[np.uint8], x: Tensor, search: SearchConfig) -> Tensor:
    """(n, restarts, latent_dim): drawn from the prior, seeded by each image's pixels; the first may be E's."""
    plan = graph.networks.plan
    shape = (search.restarts, plan.latent_dim)
    starts = torch.stack([draw(plan.prior, shape, seeded_rng("search", p.tobytes())) for p in pixels]).to(x.device)
    if search.start == "encoder":
        starts[:, 0] = _propose(graph, x)
    return starts


@torch.no_grad()
def _propose(graph: EvidenceGraph, x: Tensor) -> Tensor:
    """E(x) (n, latent_dim), in batches of one size: other sizes round differently, and a search magnifies that."""
    batches = torch.split(x, NUM_SLOTS)
    filled = (torch.cat([batch, batch.new_zeros(NUM_SLOTS - len(batch), *x.shape[1:])]) for batch in batches)
    return torch.cat([graph.networks.encode(batch) for batch in filled])[: len(x)]
