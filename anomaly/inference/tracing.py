"""A torch module as an ONNX model, without remarks on the machine that traced it.

Axes that are free cost the exporter several times the time of the rest: what is known is traced as fixed.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from anomaly.process_state import owning_process_state

if TYPE_CHECKING:
    from onnx import ModelProto

Free = Mapping[int, object]
"""The axes of the first input that may have other lengths than the example's, as `torch.export` has them."""

NUM_IMAGES: Free = {0: torch.export.Dim("n")}
NUM_EXAMPLES = 2
"""Images that a module is traced with: with one, the exporter would take their number for fixed."""


@owning_process_state()
def traced(
    module: nn.Module,
    inputs: dict[str, Tensor],
    outputs: Sequence[str],
    *,
    free: Free,
    fold_constants: bool,
) -> "ModelProto":
    """The model of a module in evaluation mode, traced with these inputs.

    `fold_constants`: what follows from the weights alone is stored in their place.
    """
    with _without_remarks():
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=(dict(free), *[None] * (len(inputs) - 1)),
            dynamo=True,
            optimize=fold_constants,
            verbose=False,
        )
    assert program is not None
    model: ModelProto = program.model_proto
    _forget_tracing(model)
    return model


def rename(model: "ModelProto", names: dict[str, str]) -> None:
    """Gives initialisers other names, by those they have."""
    for tensor in model.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)


def sides_to_trace(fixed: int | None, multiple: int) -> tuple[tuple[int, int], Free]:
    """The sides (h, w) of an example picture or map; h and w are free, but multiples of this, unless they are fixed."""
    if fixed:
        return (fixed, fixed), {}
    free = {2: multiple * torch.export.Dim("height"), 3: multiple * torch.export.Dim("width")}
    return (2 * multiple, 3 * multiple), free


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
