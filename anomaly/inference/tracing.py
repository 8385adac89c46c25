"""A torch module as an ONNX model, for images in any number; without remarks on the machine that traced it."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from anomaly.process_state import owning_process_state

if TYPE_CHECKING:
    from onnx import ModelProto

NUM_EXAMPLES = 2
"""Images that a module is traced with: with one, the exporter would take their number for fixed."""


@owning_process_state()
def traced(
    module: nn.Module,
    inputs: dict[str, Tensor],
    outputs: Sequence[str],
    *,
    fold_constants: bool,
    sides: int | None = None,
) -> "ModelProto":
    """The model of a module in evaluation mode. The number of images, of its first input, is free.

    With `sides` it is not, and instead their height and width are: any multiples of `sides`.
    `fold_constants`: what follows from the weights alone is stored in their place.
    """
    free = {0: torch.export.Dim("n")}
    if sides:
        free = {2: sides * torch.export.Dim("height"), 3: sides * torch.export.Dim("width")}
    with _without_remarks():
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=(free, *[None] * (len(inputs) - 1)),
            dynamo=True,
            optimize=fold_constants,
            verbose=False,
        )
    assert program is not None
    model: ModelProto = program.model_proto
    _forget_tracing(model)
    return model


def _forget_tracing(model: "ModelProto") -> None:
    """Takes out what the exporter notes of each operation: lines of code, and paths of this machine."""
    for part in (model.graph, *model.functions):
        for named in (part, *part.node, *part.value_info):
            named.ClearField("metadata_props")
            named.ClearField("doc_string")
    for tensor in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        tensor.ClearField("metadata_props")


@contextlib.contextmanager
def _without_remarks() -> Iterator[None]:
    """The exporter warns of its own use of torch, and logs that torchvision is not there, which nothing here needs."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning)
            yield
    finally:
        registration.setLevel(level)
