"""Networks of places in torch: run as an engine, and as they are traced."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from anomaly.bundle import Contents
from anomaly.config.places import PLACE, REFERENCE, STRIDE
from anomaly.config.region import OUTSIDE
from anomaly.data import Pixels, to_floats
from anomaly.data.pose import AS_IT_LIES
from anomaly.inference.engine import EngineName, Terms
from anomaly.inference.place_engine import MAPS, POSE, WINDOW, PlaceEngine
from anomaly.inference.tracing import Free, rename, sides_to_trace, traced
from anomaly.inference.weights import with_weights
from anomaly.networks import PhiMaps, PlaceNetworks
from anomaly.networks.pretrained import load_pretrained
from anomaly.runtime import to_float
from anomaly.torch_settings import own_settings

if TYPE_CHECKING:
    from onnx import ModelProto

PHI_MAPS = "phi_maps"

_BLACK, _ONE, _GREY = (float(x) for x in to_floats(np.array([0, 1, OUTSIDE], np.uint8)))
_HALF_LEVEL = (_ONE - _BLACK) / 2


@own_settings()
def torch_place_engine(
    networks: PlaceNetworks,
    device: torch.device,
    extract: Callable[[Pixels], NDArray[np.float32]] | None = None,
    *,
    has_region: bool,
) -> PlaceEngine:
    """The evidence of places by torch, which computes with threads of its own; on a CPU `extract`, where given, is φ.

    With `has_region` places outside of the region do not count.
    """
    own = deepcopy(networks).eval().requires_grad_(False).to(device)
    run = _TorchPlaces(own, device, extract)
    reference = own.state_dict().get(REFERENCE)
    return PlaceEngine(
        EngineName.TORCH,
        own.evidence_names,
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
        if self._extract is None or self._device.type != "cpu":
            x = to_float(torch.from_numpy(np.require(pixels[None], requirements="W")).to(self._device))
            maps = self._networks(x, *at)
        else:
            maps = self._networks.judge(torch.from_numpy(self._extract(pixels)).to(self._device)[None], *at)
        return maps[0].cpu().numpy()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class StoredPlaces:
    """Networks of places of a bundle, which error messages call `called`, and what is made of them.

    Each method raises CorruptBundleError where weights do not fit the manifest.
    """

    contents: Contents
    called: str

    def engine(self, device: torch.device) -> tuple[PlaceEngine, Terms]:
        """The engine, and the terms that it finds for the goldens."""
        engine = torch_place_engine(self.networks(), device, has_region=self._has_region)
        return engine, engine.observe(self.contents.golden.pixels)[0]

    def graph(self) -> "ModelProto":
        """The ONNX model for pictures of the recipe's sides; weights are inside, each by its name in the bundle."""
        from onnx.compose import add_prefix, merge_models  # here: scoring by torch needs no onnx

        networks, recipe = self.networks(), self.contents.manifest.recipe
        maps, channels, side = networks.phi_maps, recipe.preprocess.channels, recipe.preprocess.side
        phi = phi_model(channels, side, with_points=maps.with_points, with_half=maps.with_half)
        sides, free = sides_to_trace(side and side // PLACE, recipe.stride // PLACE)
        seen = torch.zeros(1, maps.num_features, *sides)
        inputs = {PHI_MAPS: seen, WINDOW: torch.ones(2), POSE: torch.from_numpy(AS_IT_LIES)}
        judged = traced(_Judged(networks).eval(), inputs, [MAPS], free=free, fold_constants=False)
        rename(judged, {f"networks.{name}": name for name in networks.state_dict()})
        named = add_prefix(judged, "judge.", rename_inputs=False, rename_outputs=False, rename_initializers=False)
        return merge_models(phi, named, io_map=[(PHI_MAPS, PHI_MAPS)])

    def deployable(self) -> tuple[nn.Module, tuple[int, ...], Free]:
        """What x is put into to get terms and maps; the shape of an example, and which of its axes are free."""
        recipe = self.contents.manifest.recipe
        sides, free = sides_to_trace(None, recipe.stride)
        module = _PlacesOfPictures(self.networks(), has_region=self._has_region).eval()
        return module, (1, recipe.preprocess.channels, *sides), free

    def networks(self) -> PlaceNetworks:
        """The networks themselves, in evaluation mode."""
        return with_weights(partial(PlaceNetworks, self.contents.manifest.recipe.features), self.contents, self.called)

    @property
    def _has_region(self) -> bool:
        return self.contents.manifest.recipe.preprocess.region is not None


class _PlacesOfPictures(nn.Module):
    """x (1, c, h, w), pose → terms (1, 1 + k), the map of the sum (1, 1, h/8, w/8); the picture is one window.

    With `has_region` places outside of it do not count, as `counted_places` has it.
    """

    def __init__(self, networks: PlaceNetworks, *, has_region: bool) -> None:
        super().__init__()
        self.networks = networks
        self.has_region = has_region

    def forward(self, x: Tensor, pose: Tensor | None = None) -> tuple[Tensor, Tensor]:
        window = torch.stack([x.new_zeros(()), x.new_ones(()) * x.shape[2]])
        maps = self.networks(x, window, torch.from_numpy(AS_IT_LIES) if pose is None else pose)
        if not self.has_region:
            return maps.amax(dim=(2, 3)), maps[:, :1]
        is_grey = (x - _GREY).abs() < _HALF_LEVEL  # not ==: runtimes round differently
        is_inside = (~is_grey).any(dim=1, keepdim=True).float()
        most = is_inside.amax(dim=(2, 3), keepdim=True)  # 0 of a picture that is grey everywhere: all its places count
        counted = max_pool2d(is_inside, PLACE) >= most
        return maps.masked_fill(~counted, -torch.inf).amax(dim=(2, 3)), maps[:, :1].masked_fill(~counted, 0)


class _Judged(nn.Module):
    """What follows φ."""

    def __init__(self, networks: PlaceNetworks) -> None:
        super().__init__()
        self.networks = networks

    def forward(self, maps: Tensor, window: Tensor, pose: Tensor) -> Tensor:
        return self.networks.judge(maps, window, pose)


@cache
@own_settings()
def phi_model(channels: int, side: int | None, *, with_points: bool, with_half: bool) -> "ModelProto":
    """φ's graph, x (1, channels, h, w) → PHI_MAPS (1, num_features, h/8, w/8), its weights inside; not to be changed.

    The maps are those of `PhiMaps`. h and w are `side`; if it is None, anything that `PhiMaps` takes.

    Raises:
        UsageError: the extra `pretrained` is not installed.
    """
    phi = PhiMaps(load_pretrained(), with_points=with_points, with_half=with_half).eval()
    sides, free = sides_to_trace(side, STRIDE * (1 + with_half))
    return traced(phi, {"x": torch.zeros(1, channels, *sides)}, [PHI_MAPS], free=free, fold_constants=True)
