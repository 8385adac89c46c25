"""Ranks: the processes that train one model together, each on its rows of every batch (data parallelism).

All ranks draw the same batch, noise and masks, because draws depend on the seed and the step alone. Rank r of n uses
the rows r, r + n, r + 2n, … of them. So n ranks compute what one does, up to rounding. Rank 0 leads: it reads and
writes files, keeps the averaged networks, watches the clock, and tells the others what is done.

The process group is PyTorch's: gloo on CPUs, NCCL among GPUs. Whoever starts the processes sets its environment
variables, as torchrun does.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from anomaly.errors import LostRankError, TrainingError

Rows = TypeVar("Rows", Tensor, NDArray[np.int64])

LONGEST_WAIT = timedelta(days=7)
"""For rank 0, which may read images for hours. A rank that has ended is noticed at once, whatever this is."""


@dataclass(frozen=True)
class Ranks:
    """One process of `size`; alone unless said otherwise, and then no method does anything."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def own(self, rows: Rows) -> Rows:
        """This rank's of the rows of all."""
        return rows[self.rank :: self.size]

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each by its mean over the ranks, in one call for all."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        _copy_back(flat.div_(self.size), tensors)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over the ranks, with a gradient."""
        summed: Tensor = _Sum.apply(tensor)  # type: ignore[no-untyped-call]
        return summed

    @torch.no_grad()
    def broadcast_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each by rank 0's, in one call for all of a type."""
        if self.size == 1:
            return
        for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
            alike = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in alike])
            dist.broadcast(flat, 0)
            _copy_back(flat, alike)

    def decide(self, action: Callable[..., object], *arguments: object) -> bool:
        """Rank 0 acts, and all get whether its result is true.

        Raises:
            TrainingError: rank 0's action failed, which rank 0 raises as it is.
        """
        if self.size == 1:
            return bool(action(*arguments))
        verdict = torch.zeros((), dtype=torch.int64)
        try:
            if self.leads:
                verdict.fill_(bool(action(*arguments)))
        except Exception:
            verdict.fill_(_FAILED)
            raise
        finally:
            dist.broadcast(verdict, 0)
        if verdict == _FAILED:
            raise TrainingError("rank 0 has ended the training; its own message says why")
        return bool(verdict)

    def all(self, is_so: bool) -> bool:
        """Whether it is so on all ranks."""
        if self.size == 1:
            return is_so
        found = torch.tensor(int(is_so))
        dist.all_reduce(found, dist.ReduceOp.MIN)
        return bool(found)

    def tell(self, message: dict[str, Any]) -> None:
        """Rank 0 tells the others something that JSON can hold; they `hear` it."""
        if self.size > 1:
            text = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8)
            dist.broadcast(torch.tensor(len(text)), 0)
            dist.broadcast(text, 0)

    def hear(self) -> dict[str, Any]:
        """What rank 0 tells next."""
        num = torch.zeros((), dtype=torch.int64)
        dist.broadcast(num, 0)
        text = torch.zeros(int(num), dtype=torch.uint8)
        dist.broadcast(text, 0)
        message: dict[str, Any] = json.loads(text.numpy().tobytes())
        return message


ALONE = Ranks()
_FAILED = 2


class _Sum(torch.autograd.Function):
    """A sum over ranks. What each rank's loss is by the sum adds up to the gradient of what each rank put in."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        summed = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)


def is_ranked() -> bool:
    """Whether torchrun, or what sets the same variables, started this process as one of several."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1 and "MASTER_ADDR" in os.environ


def is_follower() -> bool:
    """Whether it is one that rank 0 leads: it has nothing to say to anybody."""
    return is_ranked() and os.environ["RANK"] != "0"


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """This process as a rank, by the variables that torchrun sets, until the block ends.

    Then the process group is gone, and its threads with it: one that still frees a tensor while Python ends would
    abort the process.

    Raises:
        LostRankError: another rank has ended meanwhile.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(torch.get_num_threads() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # PyTorch imports it for the first optimiser. Its functions take the group of that moment as a default argument, and
    # would keep it for ever. So it is imported while there is none.
    import_module("torch.distributed.nn.functional")
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with _losses():
        dist.init_process_group(backend, timeout=LONGEST_WAIT)
        try:
            yield Ranks(dist.get_rank(), dist.get_world_size())
        finally:
            dist.destroy_process_group()


@contextmanager
def _losses() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not any(word in str(error) for word in ("gloo", "NCCL", "Gloo")):
            raise
        raise LostRankError(
            "another process of this training has ended, so it cannot go on; see what that one said, and go on from "
            "the last checkpoint with --resume"
        ) from error


def all_tensors(network: nn.Module) -> list[Tensor]:
    """Weights and buffers."""
    return [*network.parameters(), *network.buffers()]


def _copy_back(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    for part, tensor in zip(torch.split(flat, [tensor.numel() for tensor in tensors]), tensors, strict=True):
        tensor.copy_(part.view(tensor.shape))
