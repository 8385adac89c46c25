"""What runs the evidence graph, and which engine that is: torch, or ONNX Runtime on a CPU."""

import platform
from collections.abc import Sequence
from ctypes.util import find_library
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import Bundle
from anomaly.data import PixelsOfImages
from anomaly.errors import DeviceError, UsageError
from anomaly.extras import is_installed, require

Latents: TypeAlias = NDArray[np.float32]
Terms: TypeAlias = dict[str, NDArray[np.float64]]
Maps: TypeAlias = "NDArray[np.float32] | Sequence[NDArray[np.float32]]"
Explained: TypeAlias = tuple[NDArray[np.float32] | None, Maps]

_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # NVIDIA's, AMD's, and Windows' for Linux


class EngineName(StrEnum):
    """What may be asked for."""

    AUTO = "auto"
    TORCH = "torch"
    ONNXRUNTIME = "onnxruntime"


class Engine(Protocol):
    """Computes the evidence of images. Each image's is its own, whatever the batch (law 2).

    Shapes: pixels (n, c, h, w) uint8; z_hat (n, latent_dim); terms (n,) each; x_hat (n, c, h, w) in [-1, 1]; maps (n,
    num_maps, h, w), or coarser. Without G latent_dim is 0, there is no x_hat, and each image may have its own h and w.
    """

    @property
    def name(self) -> EngineName:
        """Which it is."""

    @property
    def grain(self) -> int:
        """Smaller batches take as long as one of so many images."""

    def observe(self, pixels: PixelsOfImages) -> tuple[Terms, Latents]:
        """The terms of images, at least one, by name, and z_hat."""

    def explain(self, pixels: PixelsOfImages, z_hat: Latents) -> Explained:
        """x_hat and maps of images, at least one; z_hat is what `observe` found for them."""

    def examine(self, pixels: PixelsOfImages) -> tuple[Terms, Latents, Explained]:
        """What `observe` and `explain` give, of images, at least one; by one pass where that can be."""

    def warm(self, max_images: int) -> None:
        """Run each batch shape that up to `max_images` images come in."""


def choose_engine(bundle: Bundle, engine: str = EngineName.AUTO, device: str = "auto") -> EngineName:
    """The engine for a bundle; "auto" is ONNX Runtime on a CPU for what needs no gradient, and else torch.

    torch is imported only where there may be a GPU.

    Raises:
        UsageError: there is no such engine, it cannot score this bundle, or its library is not installed.
        DeviceError: ONNX Runtime is asked for on another device than the CPU.
    """
    if engine not in tuple(EngineName):
        raise UsageError(f"there is no engine {engine!r}; choose one of {', '.join(EngineName)}")
    why_torch, path = _why_torch(bundle), bundle.ref.path
    if engine == EngineName.ONNXRUNTIME:
        if why_torch:
            raise UsageError(f"ONNX Runtime cannot score with {path}, which {why_torch}; choose the engine torch")
        if device not in ("auto", "cpu"):
            raise DeviceError(
                f"the engine onnxruntime scores on the CPU, and the device {device!r} was asked for; leave the device "
                "away, or choose the engine torch"
            )
    if engine == EngineName.TORCH or why_torch or (engine == EngineName.AUTO and not _is_on_cpu(device)):
        require(f"{path} {why_torch}; scoring with it" if why_torch else "scoring by torch", "torch", "torch")
        return EngineName.TORCH
    if engine == EngineName.AUTO and not is_installed("onnxruntime") and is_installed("torch"):
        return EngineName.TORCH
    require("scoring", "onnx", "onnxruntime")
    return EngineName.ONNXRUNTIME


def _why_torch(bundle: Bundle) -> str | None:
    """What is said of a bundle that ONNX Runtime cannot score with; None where it can."""
    if bundle.contents.graph is not None:
        return None
    return bundle.manifest.recipe.needs_torch or (
        f"is of schema {bundle.schema_version}, without a graph (`anomaly models upgrade` makes one)"
    )


def _is_on_cpu(device: str) -> bool:
    if device != "auto":
        return device == "cpu"
    if not (_may_have_gpu() and is_installed("torch")):
        return True
    from anomaly.runtime import resolve_device

    return resolve_device(device).type == "cpu"


def _may_have_gpu() -> bool:
    """Whether torch is worth asking: importing it takes longer than scoring a thousand images."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    if platform.system() == "Windows":
        return find_library("nvcuda") is not None
    return any(Path(driver).exists() for driver in _GPU_DRIVERS)
