"""The evidence graph of a bundle as ONNX, made from the module that torch runs, and checked.

It has no weights of its own: its initialisers lie in `weights.safetensors`.
Source: ONNX, "External Data".
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from anomaly.bundle import Contents, StoredGraph
from anomaly.bundle.layout import WEIGHTS
from anomaly.bundle.weights import byte_ranges, layout_digest, to_bytes
from anomaly.inference.kinds import stored_networks
from anomaly.inference.loading import checked_onnx_engine
from anomaly.inference.onnx_sessions import LAYOUT, TERMS
from anomaly.torch_settings import own_settings

if TYPE_CHECKING:
    from onnx import ModelProto

_CALLED = "the bundle that was to be written"


@own_settings()
def with_graph(contents: Contents) -> Contents:
    """The contents with their evidence graph, which scores the golden images as it should.

    Without one where only torch can compute the evidence, and unchanged where there is one.

    Raises:
        CorruptBundleError: the graph does not give the goldens' terms.
    """
    if contents.graph is not None or contents.manifest.recipe.needs_torch is not None:
        return contents
    weights = to_bytes(contents.weights)
    model = stored_networks(contents, _CALLED).graph()
    _move_weights_out(model, byte_ranges(weights))
    model.metadata_props.add(key=TERMS, value=",".join(contents.manifest.terms))
    model.metadata_props.add(key=LAYOUT, value=layout_digest(weights))
    complete = replace(contents, graph=StoredGraph(model.SerializeToString(), weights))
    checked_onnx_engine(complete, _CALLED)
    return complete


def _move_weights_out(model: "ModelProto", ranges: dict[str, tuple[int, int]]) -> None:
    """The initialisers that are in the file of weights refer to it: where each begins, and its number of bytes."""
    for tensor in model.graph.initializer:
        if tensor.name in ranges:
            begin, length = ranges[tensor.name]
            assert len(tensor.raw_data) == length, f"{tensor.name} is not stored as it is computed with"
            tensor.ClearField("raw_data")
            tensor.data_location = tensor.EXTERNAL
            for key, value in (("location", WEIGHTS), ("offset", str(begin)), ("length", str(length))):
                tensor.external_data.add(key=key, value=value)
