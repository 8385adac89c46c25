"""The evidence graph run by torch on 8-bit images: on a device, in batches, by CUDA graphs on a GPU; and traced.

Shapes: pixels (n, c, size, size) uint8; z_hat (n, latent_dim); x_hat (n, c, size, size) in [-1, 1]; maps (n, num_maps,
size, size); terms (n,) each.
"""

import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anomaly.bundle import Contents
from anomaly.config import Recipe
from anomaly.data import Pixels, PixelsOfImages
from anomaly.errors import CorruptBundleError
from anomaly.inference.engine import EngineName, Explained, Latents, Terms
from anomaly.inference.graph import EvidenceGraph, FlatEvidence, Observation
from anomaly.inference.latents import search_images
from anomaly.inference.precision import lower_precision
from anomaly.inference.recorded import Recorded
from anomaly.inference.tracing import NUM_EXAMPLES, NUM_IMAGES, Free, rename, traced
from anomaly.inference.weights import with_weights
from anomaly.networks import Networks, fold_batch_norm, fold_batch_norm_at_run_time, num_maps
from anomaly.runtime import place, to_float
from anomaly.torch_settings import own_settings

if TYPE_CHECKING:
    from onnx import ModelProto

MAX_BATCH_SIZE, MAX_BATCH_PIXELS = 256, 2**18  # images, and pixels of all: the fastest on two cores, and bounded
BATCH_GRAIN = 16  # smaller batches are filled up: their kernels round differently, by about 1e-5 of a score

OUTPUTS = ("z_hat", "x_hat", "terms", "maps")  # of `FlatEvidence`

_Z_HAT = "z_hat"  # beside the names of terms


class TorchEngine:
    """Frozen networks on a device. Latents come from the search where the recipe has one, else from the encoder.

    The networks compute in the recipe's precision, everything after them in single precision or better.
    """

    name = EngineName.TORCH
    grain = BATCH_GRAIN

    @own_settings()
    def __init__(self, networks: Networks, recipe: Recipe, device: torch.device) -> None:
        networks = copy.deepcopy(networks).eval().requires_grad_(False).float()  # a memory bank is kept in half
        fold_batch_norm(networks)
        place(networks, device)
        lower_precision(networks, recipe.score.precision, device)
        self._graph = EvidenceGraph(networks, recipe).eval()
        self._recipe = recipe
        self._search = recipe.search
        self._device = device
        self._recorded = Recorded() if device.type == "cuda" else None

    @own_settings()
    def observe(self, pixels: PixelsOfImages) -> tuple[Terms, Latents]:
        """See `Engine`."""
        pixels = np.asarray(pixels)
        z = self._latents(pixels)
        parts = [self._terms(pixels[rows], None if z is None else z[rows]) for rows in _batches(pixels)]
        terms = {name: np.concatenate([part[name] for part, _ in parts]) for name in parts[0][0]}
        return terms, np.concatenate([z_hat for _, z_hat in parts])

    @own_settings()
    def terms_at(self, pixels: Pixels, z_hat: Latents) -> Terms:
        """The terms of at most a batch of images, at given latents."""
        return self._terms(pixels, torch.from_numpy(z_hat))[0]

    @own_settings()
    @torch.inference_mode()
    def explain(self, pixels: PixelsOfImages, z_hat: Latents) -> Explained:
        """See `Engine`."""
        pixels = np.asarray(pixels)
        parts = []
        for rows in _batches(pixels):
            n, z = len(pixels[rows]), self._filled_latents(torch.from_numpy(z_hat[rows]))
            seen: Observation = self._graph(self._filled(pixels[rows]), z, with_maps=True)
            assert seen.maps is not None
            parts.append((seen.x_hat[:n].contiguous().cpu().numpy(), seen.maps[:n].cpu().numpy()))
        return np.concatenate([x_hat for x_hat, _ in parts]), np.concatenate([maps for _, maps in parts])

    def examine(self, pixels: PixelsOfImages) -> tuple[Terms, Latents, Explained]:
        """See `Engine`: two passes, so that terms are always of the pass that a GPU may have recorded."""
        terms, z_hat = self.observe(pixels)
        return terms, z_hat, self.explain(pixels, z_hat)

    @own_settings()
    @torch.inference_mode()
    def generate(self, z: Latents) -> NDArray[np.float32]:
        """G(z): latents (n, latent_dim) → images (n, c, size, size) in [-1, 1]."""
        networks = self._graph.networks
        batches = torch.split(torch.from_numpy(z), _batch_size(networks.plan.size))
        return torch.cat([networks.G(batch.to(self._device)).cpu() for batch in batches]).contiguous().numpy()

    def warm(self, max_images: int) -> None:
        """Run every batch shape that up to `max_images` images come in; a search makes one step."""
        plan = self._graph.networks.plan
        brief = copy.copy(self)
        brief._search = self._search.model_copy(update={"steps": 1, "restarts": 1}) if self._search else None
        largest = min(max_images, _batch_size(plan.size))
        for n in range(BATCH_GRAIN, largest + BATCH_GRAIN, BATCH_GRAIN):
            pixels = np.zeros((n, plan.channels, plan.size, plan.size), np.uint8)
            brief.explain(pixels, brief.observe(pixels)[1])

    def _latents(self, pixels: Pixels) -> Tensor | None:
        """The latents found by search; None where the encoder finds them."""
        if self._search is None:
            return None
        weight = self._recipe.score.feature_weight
        return search_images(self._graph, pixels, self._search, weight, self._to_x)

    @torch.inference_mode()
    def _terms(self, pixels: Pixels, z: Tensor | None) -> tuple[Terms, Latents]:
        n, x = len(pixels), self._filled(pixels)
        if z is None and self._recorded is not None:
            seen = self._recorded(self._see, x)
        else:
            seen = self._see(x, None if z is None else self._filled_latents(z))
        z_hat = seen.pop(_Z_HAT)
        table = torch.stack(list(seen.values()))[:, :n].cpu().numpy().astype(np.float64)
        return dict(zip(seen, table, strict=True)), z_hat[:n].cpu().numpy()

    def _see(self, x: Tensor, z: Tensor | None = None) -> dict[str, Tensor]:
        """z_hat and the terms by name, as one dictionary."""
        seen: Observation = self._graph(x, z)
        return {_Z_HAT: seen.z_hat, **seen.terms}

    def _filled(self, pixels: Pixels) -> Tensor:
        """A batch, filled up with black images to a multiple of BATCH_GRAIN; their results are dropped."""
        return self._to_x(np.concatenate([pixels, np.zeros((-len(pixels) % BATCH_GRAIN, *pixels.shape[1:]), np.uint8)]))

    def _filled_latents(self, z: Tensor) -> Tensor:
        return torch.cat([z, z.new_zeros(-len(z) % BATCH_GRAIN, z.shape[1])]).to(self._device)

    def _to_x(self, pixels: Pixels) -> Tensor:
        writable = np.require(pixels, requirements="W")  # torch warns of a memory map that is not
        return to_float(torch.from_numpy(writable).to(self._device))


def _batch_size(side: int) -> int:
    """Images of this side that go through the networks at once."""
    return min(MAX_BATCH_SIZE, max(MAX_BATCH_PIXELS // side**2, BATCH_GRAIN))


def _batches(pixels: Pixels) -> list[slice]:
    size = _batch_size(pixels.shape[-1])
    return [slice(start, start + size) for start in range(0, len(pixels), size)]


@dataclass(frozen=True)
class StoredNetworks:
    """G, E and D of a bundle, which error messages call `called`, and what is made of them.

    Each method raises CorruptBundleError where weights do not fit the manifest.
    """

    contents: Contents
    called: str

    def engine(self, device: torch.device) -> tuple[TorchEngine, Terms]:
        """The engine, and the terms that it finds for the goldens; where it searches latents, at the stored ones."""
        recipe, golden = self.contents.manifest.recipe, self.contents.golden
        engine = TorchEngine(self._networks(), recipe, device)
        is_searched = recipe.search is not None
        return engine, engine.terms_at(golden.pixels, golden.z_hat) if is_searched else engine.observe(golden.pixels)[0]

    def graph(self) -> "ModelProto":
        """The ONNX model x → OUTPUTS, b is free; weights are inside, each by its name in the bundle.

        Batch norms are folded into their convolutions, as when torch runs the graph, but inside of it: a runtime
        computes the folded weights once, when it loads the graph.
        """
        networks, plan = self._networks(), self.contents.manifest.recipe.plan
        stored = {id(tensor): name for name, tensor in networks.state_dict(keep_vars=True).items()}
        fold_batch_norm_at_run_time(networks)
        flat = self._flat(networks)
        x = torch.zeros(NUM_EXAMPLES, plan.channels, plan.size, plan.size)
        model = traced(flat, {"x": x}, OUTPUTS, free=NUM_IMAGES, fold_constants=False)  # it would store folded weights
        rename(model, {name: stored[id(tensor)] for name, tensor in flat.state_dict(keep_vars=True).items()})
        return model

    def deployable(self) -> tuple[nn.Module, tuple[int, ...], Free]:
        """What x is put into to get terms and maps; the shape of an example, and which of its axes are free."""
        networks, plan = self._networks().float(), self.contents.manifest.recipe.plan
        fold_batch_norm(networks)
        return self._flat(networks), (NUM_EXAMPLES, plan.channels, plan.size, plan.size), NUM_IMAGES

    def _networks(self) -> Networks:
        plan = self.contents.manifest.recipe.plan
        if (there := len(self.contents.map_scale.layers)) != (num := num_maps(plan)):
            raise CorruptBundleError(f"{self.called} is corrupt: its networks have {num} maps, its scale has {there}")
        return with_weights(partial(Networks, plan), self.contents, self.called)

    def _flat(self, networks: Networks) -> FlatEvidence:
        manifest = self.contents.manifest
        return FlatEvidence(EvidenceGraph(networks, manifest.recipe), manifest.terms).eval()
