"""The networks at work on 8-bit images: z_hat, x_hat = G(z_hat), and the evidence terms. No score yet, no decision.

Shapes: pixels (n, c, size, size) uint8; z_hat (n, latent_dim); x_hat (n, c, size, size) in [-1, 1]; terms (n,) each.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.config import Loss, Method, Precision, SearchConfig
from anomaly.inference.recorded import Recorded
from anomaly.inference.search import Objective, search_latents
from anomaly.networks import Networks, PatchJudgement, draw, fold_batch_norm, turned
from anomaly.runtime import autocast, generator, place, to_float
from anomaly.scoring import (
    anomaly_score,
    critic,
    cross_entropy,
    evidence_terms,
    feature_matching,
    izi_f,
    layer_maps,
    patch_maps,
    residual,
    saturating,
)

MAX_BATCH_SIZE, MAX_BATCH_PIXELS = 256, 2**18  # images, and pixels of all: the fastest on two cores, and bounded
BATCH_GRAIN = 16  # smaller batches are filled up: their kernels round differently, by about 1e-5 of a score
NUM_SLOTS = 64  # starts searched at once
SEARCH_CHUNK = 256  # images whose features are held at once
_Z_HAT, _X_HAT = "z_hat", "x_hat"  # beside the names of terms
_VERDICTS = {"cross_entropy": cross_entropy, "saturating": saturating, "critic": critic}  # D's word as a term

Features = dict[str, Tensor]


@dataclass(frozen=True)
class Reconstruction:
    """What the networks make of images; see the module's shapes."""

    z_hat: NDArray[np.float32]
    x_hat: NDArray[np.float32]
    terms: dict[str, NDArray[np.float64]]


class Passes:
    """Frozen networks on a device. Latents come from the search where one is configured, else from the encoder.

    The networks compute in `precision`; what is made of their outputs is computed in single precision or better.
    """

    def __init__(
        self,
        networks: Networks,
        *,
        method: Method,
        loss: Loss,
        search: SearchConfig | None,
        feature_layer: str | None,
        feature_weight: float,
        precision: Precision,
        device: torch.device,
    ) -> None:
        self.networks = copy.deepcopy(networks).eval().requires_grad_(False)
        fold_batch_norm(self.networks)
        if self.networks.memory is not None:
            self.networks.memory.float()  # its features are kept in half precision, and compared in whole
        place(self.networks, device)
        self.method = method
        self.search = search
        self.verdict = _verdict(loss, search)
        self.feature_layer = feature_layer
        self.feature_weight = feature_weight
        self.precision = precision
        self.device = device
        self._recorded = Recorded() if device.type == "cuda" else None

    def reconstruct(self, pixels: NDArray[np.uint8]) -> Reconstruction:
        """Latents by search or encoder, then the terms at them."""
        z = self._search(pixels) if self.search else None
        return _concatenate([self._batch(pixels[rows], None if z is None else z[rows]) for rows in _batches(pixels)])

    def warm(self, max_images: int) -> None:
        """Run every batch shape that up to `max_images` images come in; a search makes one step."""
        config = self.networks.config
        brief = copy.copy(self)
        brief.search = self.search.model_copy(update={"steps": 1, "restarts": 1}) if self.search else None
        largest = min(max_images, _batch_size(config.size))
        for n in range(BATCH_GRAIN, largest + BATCH_GRAIN, BATCH_GRAIN):
            pixels = np.zeros((n, config.channels, config.size, config.size), np.uint8)
            brief.maps(pixels, brief.reconstruct(pixels).z_hat)

    @torch.inference_mode()
    def generate(self, z: NDArray[np.float32]) -> NDArray[np.float32]:
        """G(z): latents (n, latent_dim) → images (n, c, size, size) in [-1, 1]."""
        batches = torch.split(torch.from_numpy(z), _batch_size(self.networks.config.size))
        with autocast(self.device, self.precision):
            parts = [self.networks.G(batch.to(self.device)).float().cpu() for batch in batches]
        return torch.cat(parts).contiguous().numpy()

    def terms_at(self, pixels: NDArray[np.uint8], z_hat: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        """The evidence terms of images at given latents."""
        return self._batch(pixels, torch.from_numpy(z_hat)).terms

    @torch.inference_mode()
    def maps(self, pixels: NDArray[np.uint8], z_hat: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a heatmap is made of (n, num_maps, size, size): by D_patch where there is one, else the layers'."""
        parts = []
        for rows in _batches(pixels):
            x, z = self._on_device(pixels[rows]), torch.from_numpy(z_hat[rows]).to(self.device)
            if self.networks.D_patch is not None:
                doubt, novelty = self.networks.doubt_and_novelty(self._judge_places(x))
                parts.append(patch_maps(doubt, novelty, x.shape[-1]).cpu().numpy())
                continue
            with autocast(self.device, self.precision):
                x_hat = self.networks.G(z).float()
                real, fake, _ = self._judge(x, x_hat, z)
            parts.append(layer_maps(x, x_hat, real, fake).cpu().numpy())
        return np.concatenate(parts)

    @torch.inference_mode()
    def _batch(self, pixels: NDArray[np.uint8], z: Tensor | None) -> Reconstruction:
        n = len(pixels)
        x = self._on_device(np.concatenate([pixels, np.zeros((-n % BATCH_GRAIN, *pixels.shape[1:]), np.uint8)]))
        if z is not None:
            seen = self._see(x, torch.cat([z, z.new_zeros(-n % BATCH_GRAIN, z.shape[1])]).to(self.device))
        elif self._recorded is not None:
            seen = self._recorded(self._see, x)
        else:
            seen = self._see(x)
        z_hat, x_hat = seen.pop(_Z_HAT), seen.pop(_X_HAT)
        table = torch.stack(list(seen.values()))[:, :n].cpu().numpy().astype(np.float64)
        return Reconstruction(
            z_hat[:n].cpu().numpy(), x_hat[:n].contiguous().cpu().numpy(), dict(zip(seen, table, strict=True))
        )

    def _see(self, x: Tensor, z: Tensor | None = None) -> dict[str, Tensor]:
        """z_hat, E(x) unless it is given; x_hat; and the terms, each by its name. No value decides what is computed."""
        networks = self.networks
        with autocast(self.device, self.precision):
            z_hat = networks.encode(x).float() if z is None else z
            x_hat = networks.G(z_hat).float()
            real, fake, verdict = self._judge(x, x_hat, z_hat)
            turns = None if networks.D_turn is None else networks.D_turn(turned(x)).float()
        strangeness = None if networks.D_patch is None else networks.strangeness(self._judge_places(x))
        terms = evidence_terms(
            x, x_hat, real, fake, verdict, z_hat, strangeness, turns, feature_layer=self.feature_layer
        )
        return {_Z_HAT: z_hat, _X_HAT: x_hat, **terms}

    def _judge_places(self, x: Tensor) -> PatchJudgement:
        """What D_patch says of each place, for its memory to compare in single precision."""
        assert self.networks.D_patch is not None
        with autocast(self.device, self.precision):
            logits, features = self.networks.D_patch(x)
        return PatchJudgement(logits.float(), features.float())

    def _judge(self, x: Tensor, x_hat: Tensor, z: Tensor) -> tuple[Features, Features, dict[str, Tensor]]:
        """D's features of x and of x_hat, each paired with z where D sees pairs, and what D says, by the term's name.

        With D_xx the features are its own, of (x, x) and (x, x_hat) (ALAD); without any D there is nothing.
        """
        networks = self.networks
        if networks.D is None:
            return {}, {}, {}
        if networks.D_xx is not None:
            real, fake = networks.D_xx(torch.cat([x, x], dim=1)), networks.D_xx(torch.cat([x, x_hat], dim=1))
            logits = networks.judge(x, z).logits.float()
        else:
            real, fake = networks.judge(x, z), networks.judge(x_hat, z)
            logits = (real if networks.config.joint else fake).logits.float()
        verdict = {self.verdict: _VERDICTS[self.verdict](logits)}
        if self.method is Method.F_ANOGAN:
            layer = self.feature_layer or ""
            verdict["izi_f"] = izi_f(x, x_hat, real.features[layer], fake.features[layer])
        return real.features, fake.features, verdict

    def _search(self, pixels: NDArray[np.uint8]) -> Tensor:
        """z_hat (n, latent_dim) by latent search, in chunks that bound the memory."""
        assert self.search is not None
        found = []
        for i in range(0, len(pixels), SEARCH_CHUNK):
            x = self._on_device(pixels[i : i + SEARCH_CHUNK])
            starts = self._starts(pixels[i : i + SEARCH_CHUNK], x, self.search)
            found.append(search_latents(self._loss(x, self.search), starts, self.search, num_slots=NUM_SLOTS)[0])
        return torch.cat(found)

    def _loss(self, x: Tensor, search: SearchConfig) -> Objective:
        """(1 − λ)·R(x) + λ·L, L by the search's objective (AnoGAN §2.2); features of x are computed once."""
        judge, layer = self.networks.judge, self.feature_layer or ""
        by_features = search.objective == "feature-matching"
        z_any = torch.zeros(len(x), self.networks.config.latent_dim, device=self.device)
        with torch.no_grad():
            features = judge(x, z_any).features[layer] if by_features else None

        def loss(images: Tensor, z: Tensor) -> Tensor:
            x_hat = self.networks.G(z)
            judgement = judge(x_hat, z)
            if features is None:
                discrimination = _VERDICTS[self.verdict](judgement.logits)
            else:
                discrimination = feature_matching(features[images], judgement.features[layer])
            return anomaly_score(residual(x[images], x_hat), discrimination, self.feature_weight)

        return loss

    def _starts(self, pixels: NDArray[np.uint8], x: Tensor, search: SearchConfig) -> Tensor:
        """(n, restarts, latent_dim): drawn from the prior by each image's own pixels, the first from E if asked for."""
        shape = (search.restarts, self.networks.config.latent_dim)
        prior = self.networks.config.prior
        starts = torch.stack([draw(prior, shape, generator("search", p.tobytes())) for p in pixels])
        starts = starts.to(self.device)
        if search.start == "encoder":
            starts[:, 0] = self._propose(x)
        return starts

    @torch.no_grad()
    def _propose(self, x: Tensor) -> Tensor:
        """E(x) (n, latent_dim), in batches of one size: a search magnifies what kernels of another size round."""
        batches = torch.split(x, NUM_SLOTS)
        filled = (torch.cat([batch, batch.new_zeros(NUM_SLOTS - len(batch), *x.shape[1:])]) for batch in batches)
        return torch.cat([self.networks.encode(batch) for batch in filled])[: len(x)]

    def _on_device(self, pixels: NDArray[np.uint8]) -> Tensor:
        return to_float(torch.from_numpy(pixels).to(self.device))


def _verdict(loss: Loss, search: SearchConfig | None) -> str:
    """The name of the term that D's output gives."""
    if loss.has_critic:
        return "critic"
    return "saturating" if search is not None and search.objective == "saturating" else "cross_entropy"


def _batch_size(side: int) -> int:
    """Images of this side that go through the networks at once."""
    return min(MAX_BATCH_SIZE, max(MAX_BATCH_PIXELS // side**2, BATCH_GRAIN))


def _batches(pixels: NDArray[np.uint8]) -> list[slice]:
    size = _batch_size(pixels.shape[-1])
    return [slice(start, start + size) for start in range(0, len(pixels), size)]


def _concatenate(parts: list[Reconstruction]) -> Reconstruction:
    return Reconstruction(
        np.concatenate([part.z_hat for part in parts]),
        np.concatenate([part.x_hat for part in parts]),
        {name: np.concatenate([part.terms[name] for part in parts]) for name in parts[0].terms},
    )
