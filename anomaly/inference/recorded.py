"""A function of images on a GPU, recorded as CUDA graphs: a pass is one launch instead of hundreds of small ones.

Networks for small images keep a GPU waiting for its launches far longer than computing. A graph replays the same
kernels on the same memory, so what it computes is what the function computes. Source: the CUDA Graphs section of
PyTorch's CUDA semantics.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

Function = Callable[[Tensor], dict[str, Tensor]]
Replay = Callable[[], dict[str, Tensor]]
"""Computes a function again, on what the tensor that it was recorded with holds now, into the same results."""

_WARM_UPS = 3  # calls before recording, in which libraries choose their kernels and take their workspaces
_one_recording = threading.Lock()  # of a process: two at a time are not allowed


class Recorded:
    """Calls one function by recordings, one for each shape that its images come in. Calls are of one stream.

    What cannot be recorded, for want of memory or else, is computed step by step, and a warning says so.
    """

    def __init__(self) -> None:
        self._recordings: dict[torch.Size, tuple[Tensor, Replay] | None] = {}
        self._pool: Any = None
        self._one_at_a_time = threading.Lock()

    def __reduce__(self) -> tuple[type["Recorded"], tuple[()]]:
        """In a copy, or in another process, all is recorded anew."""
        return Recorded, ()

    def __call__(self, function: Function, x: Tensor) -> dict[str, Tensor]:
        """As `function(x)`. No value of x may decide what the function computes."""
        with self._one_at_a_time:
            if x.shape not in self._recordings:
                self._recordings[x.shape] = self._try_to_record(function, x.clone())
            recording = self._recordings[x.shape]
            if recording is None:
                return function(x)
            held, replay = recording
            held.copy_(x)
            return {name: tensor.clone() for name, tensor in replay().items()}

    def _try_to_record(self, function: Function, x: Tensor) -> tuple[Tensor, Replay] | None:
        try:
            with _one_recording:
                return x, self._record(function, x)
        except RuntimeError as error:
            logger.warning("passes of %d images are launched step by step, not recorded: %s", len(x), str(error))
            return None

    def _record(self, function: Function, x: Tensor) -> Replay:
        """A graph; all share their memory, as what one leaves in it is taken out before the next replays.

        Raises RuntimeError, of which torch.OutOfMemoryError is one.
        """
        with torch.cuda.device(x.device):
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UPS):
                    function(x)
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, self._pool, stream=aside, capture_error_mode="thread_local"):
                results = function(x)
            self._pool = graph.pool()
        return partial(_replay, graph, results)


def _replay(graph: torch.cuda.CUDAGraph, results: dict[str, Tensor]) -> dict[str, Tensor]:
    graph.replay()
    return results
