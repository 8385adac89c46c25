"""Functions of tensors on a GPU, recorded as CUDA graphs: a pass is one launch instead of hundreds of small ones.

Networks for small images keep a GPU waiting for its launches far longer than computing. A graph replays the same
kernels on the same memory, so what it computes is what the function computes. Source: the CUDA Graphs section of
PyTorch's CUDA semantics.
"""

import logging
import threading
from collections.abc import Callable

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

Function = Callable[..., dict[str, Tensor]]
Replay = Callable[[], dict[str, Tensor]]
Recorder = Callable[[Function, tuple[Tensor, ...]], Replay]
"""Makes of a function and its inputs what computes it again on whatever these tensors hold then."""

_WARM_UPS = 3  # calls before recording, in which libraries choose their kernels and take their workspaces


def record_graph(function: Function, inputs: tuple[Tensor, ...]) -> Replay:
    """A CUDA graph of the function on the inputs' device; no value of theirs may decide what it launches.

    Raises torch.OutOfMemoryError if the device has no room for it, another RuntimeError if it cannot be recorded.
    """
    with torch.cuda.device(inputs[0].device):
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                function(*inputs)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):  # others may use the device
            outputs = function(*inputs)

    def replay() -> dict[str, Tensor]:
        graph.replay()
        return outputs

    return replay


class Recorded:
    """Calls `function` by a recording of its own for each combination of its inputs' shapes; by any thread.

    What cannot be recorded is computed step by step, and a warning says so.
    """

    def __init__(self, function: Function, record: Recorder = record_graph) -> None:
        self._function = function
        self._record = record
        self._recordings: dict[tuple[torch.Size, ...], tuple[tuple[Tensor, ...], Replay]] = {}
        self._one_at_a_time = threading.Lock()

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        """As `function`."""
        shapes = tuple(tensor.shape for tensor in inputs)
        with self._one_at_a_time:
            if shapes not in self._recordings:
                held = tuple(tensor.clone() for tensor in inputs)
                self._recordings[shapes] = held, self._try_to_record(held)
            held, replay = self._recordings[shapes]
            for tensor, given in zip(held, inputs, strict=True):
                tensor.copy_(given)
            return {name: tensor.clone() for name, tensor in replay().items()}

    def _try_to_record(self, inputs: tuple[Tensor, ...]) -> Replay:
        try:
            return self._record(self._function, inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            logger.warning("passes are launched step by step, as this device cannot record them: %s", error)
            return lambda: self._function(*inputs)
