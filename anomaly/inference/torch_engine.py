"""The evidence graph run by torch on 8-bit images: on a device, in batches, by CUDA graphs on a GPU.

Shapes: pixels (n, c, size, size) uint8; z_hat (n, latent_dim); x_hat (n, c, size, size) in [-1, 1]; maps (n, num_maps,
size, size); terms (n,) each.
"""

import copy
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anomaly.bundle import Contents
from anomaly.config import Recipe
from anomaly.config.places import REFERENCE
from anomaly.counted import counted
from anomaly.data import Pixels, PixelsOfImages
from anomaly.errors import CorruptBundleError
from anomaly.inference.engine import EngineName, Explained, Latents, Terms
from anomaly.inference.graph import EvidenceGraph, Observation
from anomaly.inference.latents import search_images
from anomaly.inference.place_engine import PlaceEngine
from anomaly.inference.precision import lower_precision
from anomaly.inference.recorded import Recorded
from anomaly.networks import Networks, PlaceNetworks, fold_batch_norm, num_maps, unfilled
from anomaly.runtime import place, to_float
from anomaly.torch_settings import own_settings

MAX_BATCH_SIZE, MAX_BATCH_PIXELS = 256, 2**18  # images, and pixels of all: the fastest on two cores, and bounded
BATCH_GRAIN = 16  # smaller batches are filled up: their kernels round differently, by about 1e-5 of a score

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


@own_settings()
def torch_place_engine(
    networks: PlaceNetworks,
    device: torch.device,
    extract: Callable[[Pixels], NDArray[np.float32]] | None = None,
    *,
    has_region: bool,
) -> PlaceEngine:
    """The evidence of places by torch, which computes with threads of its own; `extract`, where given, is φ.

    With `has_region` places outside of the region do not count.
    """
    own = copy.deepcopy(networks).eval().requires_grad_(False).to(device)
    run = _TorchPlaces(own, device, extract)
    reference = own.state_dict().get(REFERENCE)
    return PlaceEngine(
        EngineName.TORCH,
        run,
        run,
        threads=1,
        reference=None if reference is None else reference.cpu().numpy(),
        has_region=has_region,
    )


class _TorchPlaces:
    """Networks of places at work, which may be copied or handed to another process."""

    def __init__(
        self, networks: PlaceNetworks, device: torch.device, extract: Callable[[Pixels], NDArray[np.float32]] | None
    ) -> None:
        self._networks, self._device, self._extract = networks, device, extract

    @own_settings()
    @torch.inference_mode()
    def __call__(self, pixels: Pixels, window: NDArray[np.float32], pose: NDArray[np.float32]) -> NDArray[np.float32]:
        at = [torch.from_numpy(each).to(self._device) for each in (window, pose)]
        if self._extract is None:
            x = to_float(torch.from_numpy(np.require(pixels[None], requirements="W")).to(self._device))
            maps = self._networks(x, *at)
        else:
            maps = self._networks.judge(torch.from_numpy(self._extract(pixels)).to(self._device)[None], *at)
        return maps[0].cpu().numpy()  # type: ignore[no-any-return]


@own_settings()
def stored_places(contents: Contents, bundle: str) -> PlaceNetworks:
    """The networks of places of a bundle, which error messages call `bundle`, with its weights.

    Raises:
        CorruptBundleError: its weights do not fit its manifest.
    """
    networks = unfilled(partial(PlaceNetworks, contents.manifest.recipe.features))
    _load(networks, contents, bundle)
    return networks


@own_settings()
def stored_networks(contents: Contents, bundle: str) -> Networks:
    """The networks of a bundle, which error messages call `bundle`, with its weights.

    Raises:
        CorruptBundleError: its weights do not fit its manifest.
    """
    plan = contents.manifest.recipe.plan
    if (there := len(contents.map_scale.layers)) != num_maps(plan):
        raise CorruptBundleError(f"{bundle} is corrupt: its networks have {num_maps(plan)} maps, its scale has {there}")
    networks = unfilled(partial(Networks, plan))
    _load(networks, contents, bundle)
    return networks


def _load(networks: nn.Module, contents: Contents, bundle: str) -> None:
    weights = {name: torch.from_numpy(np.array(array)) for name, array in contents.weights.items()}
    try:
        networks.load_state_dict(weights)
    except RuntimeError as error:
        wanted, found = ({name: t.shape for name, t in each.items()} for each in (networks.state_dict(), weights))
        odd = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        raise CorruptBundleError(
            f"{bundle} is corrupt: its weights do not fit its manifest ({counted(len(odd), 'array')}, the first is "
            f"{odd[0]}), or another version of anomaly made it. Restore it from a copy, train it again, or go back to "
            "the version that made it"
        ) from error


def _batch_size(side: int) -> int:
    """Images of this side that go through the networks at once."""
    return min(MAX_BATCH_SIZE, max(MAX_BATCH_PIXELS // side**2, BATCH_GRAIN))


def _batches(pixels: Pixels) -> list[slice]:
    size = _batch_size(pixels.shape[-1])
    return [slice(start, start + size) for start in range(0, len(pixels), size)]
