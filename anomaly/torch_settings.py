"""Torch as this package needs it, whatever the program around it has set; and that program's settings left alone.

A score depends on the image and the bundle only (law 2), so not on autocast, default types or threads of who asks.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, NamedTuple, TypeVar

import torch

from anomaly.processors import num_threads

Setting = TypeVar("Setting")

_DEVICE_TYPES = ("cpu", "cuda", "mps")


@contextmanager
def own_settings() -> Iterator[None]:
    """What computes networks runs inside; afterwards all settings are as they were.

    There are gradients, no inference mode and no autocast. New tensors are of single precision, and on the CPU. Single
    precision is not shortened to TF32's 11 bits or bfloat16's 8. Torch has no more threads than `num_threads`, as it
    does not know of a container's limits.

    The default type and the shortening belong to the whole process, so its other threads have ours meanwhile.
    """
    with _single_precision:
        if _is_as_needed():
            yield  # at once: this is entered for each call of a detector
            return
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            for device_type in filter(torch.is_autocast_enabled, _DEVICE_TYPES):
                stack.enter_context(torch.autocast(device_type, enabled=False))
            if torch.get_default_device().type != "cpu":
                stack.enter_context(torch.device("cpu"))
            if torch.get_num_threads() > _most_threads():
                stack.enter_context(threads(_most_threads()))
            yield


@contextmanager
def own_draws(device: torch.device = torch.device("cpu")) -> Iterator[None]:
    """What seeds torch or draws from its generators runs inside; afterwards they are as they were.

    Seeding torch seeds every GPU, not only the `device` that computes.
    """
    has_gpus = device.type == "cuda" or torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if has_gpus else []):
        yield


@contextmanager
def threads(num: int) -> Iterator[None]:
    """So many threads for torch. One is best where products are small: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(num)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_most_threads = cache(num_threads)  # which reads the system's files


def _is_as_needed() -> bool:
    """Whether this thread needs no other mode, device or number of threads."""
    return (
        torch.is_grad_enabled()
        and not torch.is_inference_mode_enabled()
        and not any(map(torch.is_autocast_enabled, _DEVICE_TYPES))
        and torch.get_default_device().type == "cpu"
        and torch.get_num_threads() <= _most_threads()
    )


def _shortening() -> list[Any]:
    """The settings of each library of what it may compute single precision in."""
    cudnn: Any = torch.backends.cudnn
    return [cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul, *_shortening_on_cpus()]


def _shortening_on_cpus() -> list[Any]:
    mkldnn: Any = torch.backends.mkldnn
    return [mkldnn.conv, mkldnn.rnn, mkldnn.matmul]


def _is_single_precision() -> bool:
    """Whether what this build of torch has computes in single precision. A GPU's libraries shorten it by default.

    Whether there is a GPU is not asked: a process that has asked CUDA cannot use it in its forks.
    """
    cuda: Any = torch.backends.cuda
    that_compute = _shortening() if cuda.is_built() else _shortening_on_cpus()
    return torch.get_default_dtype() == torch.float32 and all(
        each.fp32_precision in ("none", "ieee") for each in that_compute
    )


def _read(setting: Callable[[], Setting]) -> Setting | None:
    try:
        return setting()
    except RuntimeError:
        return None


class _Precisions(NamedTuple):
    """How the process computes: the default type, and what single precision may be shortened to.

    Torch has older settings and newer ones, and refuses to read the older where the two disagree: None.
    """

    dtype: torch.dtype
    convolutions_in_tf32: bool | None
    products: str | None
    newer: Sequence[str]

    @classmethod
    def now(cls) -> "_Precisions":
        return cls(
            torch.get_default_dtype(),
            _read(lambda: torch.backends.cudnn.allow_tf32),
            _read(torch.get_float32_matmul_precision),
            [each.fp32_precision for each in _shortening()],
        )

    def set(self) -> None:
        """The older settings first, as each changes newer ones too."""
        torch.set_default_dtype(self.dtype)
        if self.convolutions_in_tf32 is not None:
            torch.backends.cudnn.allow_tf32 = self.convolutions_in_tf32
        if self.products is not None:
            torch.set_float32_matmul_precision(self.products)
        for each, precision in zip(_shortening(), self.newer, strict=True):
            each.fp32_precision = precision


_OURS = _Precisions(torch.float32, False, "highest", ["ieee"] * len(_shortening()))


class _SinglePrecision:
    """A context of all threads: the first to enter sets our precision, the last to leave sets back what was there.

    Where nothing that computes here is shortened, nothing is set: this is entered for each call of a detector.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_inside = 0
        self._before: _Precisions | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._num_inside:
                self._before = None if _is_single_precision() else _Precisions.now()
                if self._before is not None:
                    _OURS.set()
            self._num_inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._num_inside -= 1
            if not self._num_inside and self._before is not None:
                self._before.set()


_single_precision = _SinglePrecision()
