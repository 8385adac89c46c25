"""Devices, precision and random numbers: what every layer that runs networks needs from the machine."""

import hashlib
import os
from functools import cache, partial
from typing import Literal

import torch
from torch import Tensor, nn

from anomaly.config import Precision
from anomaly.errors import DeviceError

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" takes CUDA, then Apple's MPS, then the CPU.

    On a CPU torch gets one thread in processes that are forked from this one.

    Raises:
        DeviceError: the device is unknown, or this machine or this torch build does not have it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(f"unknown device {name!r}; choose one of {', '.join(DEVICES)}, or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device 'cuda' was asked for, but torch finds no CUDA GPU here; use --device cpu or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"device {name!r} was asked for, but there are {torch.cuda.device_count()} CUDA GPUs here")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("device 'mps' was asked for, but torch finds no Apple GPU here; use --device cpu or auto")
    if device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"device {name!r} is not supported; choose one of {', '.join(DEVICES)}, or cuda:N")
    _one_thread_after_a_fork()
    return device


@cache
def _one_thread_after_a_fork() -> None:
    """A fork has none of the threads that torch had, and would wait for them for ever."""
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


def place(network: nn.Module, device: torch.device) -> None:
    """Move a network to the device, its convolutions in channels-last layout (the fast one on CPUs and GPUs)."""
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks this form


def to_float(pixels: Tensor) -> Tensor:
    """8-bit pixels (b, c, h, w) as floats in [-1, 1], channels last."""
    return pixels.to(torch.float32).div_(127.5).sub_(1.0).contiguous(memory_format=torch.channels_last)


def widened(tensor: Tensor) -> Tensor:
    """In single precision where it is in a shorter one; in double precision it stays."""
    return tensor if tensor.dtype is torch.float64 else tensor.float()


def is_fast_at_bf16(device: torch.device) -> bool:
    """Whether bfloat16 gains time there. A CPU without its instructions is slower in it than in single precision."""
    match device.type:
        case "cuda":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        case "cpu":
            return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
        case _:
            return False


def resolve_precision(precision: Precision | Literal["auto"], device: torch.device) -> Precision:
    """The precision itself; "auto" is bf16 where the device is fast at it."""
    if precision == "auto":
        return Precision.BF16 if is_fast_at_bf16(device) else Precision.FP32
    return precision


def autocast(device: torch.device, precision: Precision | Literal["auto"]) -> torch.autocast:
    """A context that runs convolutions and products in bfloat16 where the precision says so."""
    is_bf16 = resolve_precision(precision, device) is Precision.BF16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_bf16)


def seeded_rng(*key: int | str | bytes) -> torch.Generator:
    """A CPU random generator that depends on `key` only: the same draws in any order, batch or process."""
    return torch.Generator().manual_seed(seed_of(*key))


def seed_of(*key: int | str | bytes) -> int:
    """A 63-bit seed that depends on `key` only."""
    digest = hashlib.sha256()
    for part in key:
        encoded = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return int.from_bytes(digest.digest()[:8], "little") >> 1
