"""The evidence graph as ONNX: x → z_hat, x_hat, terms, maps; made from the one module.

It has no weights of its own: its initialisers lie in `weights.safetensors`. Batch norms of G, E and D of images
are folded into their convolutions, as when torch runs the graph, but inside of it: a runtime computes the folded
weights once, when it loads the graph.
Shapes: as in `graph`; the terms are one tensor (b, num_terms), in the order of the manifest. b is free.
Source: ONNX, "External Data".
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from onnx.compose import add_prefix, merge_models
from torch import Tensor, nn

from anomaly.bundle import Contents, StoredGraph
from anomaly.bundle.layout import WEIGHTS
from anomaly.bundle.weights import byte_ranges, layout_digest, to_bytes
from anomaly.config.places import PLACE
from anomaly.data.pose import AS_IT_LIES
from anomaly.inference.engine import Engine
from anomaly.inference.goldens import check_goldens
from anomaly.inference.graph import EvidenceGraph
from anomaly.inference.onnx_engine import LAYOUT, MAPS, OUTPUTS, POSE, TERMS, WINDOW, OnnxEngine, onnx_place_engine
from anomaly.inference.phi_features import PHI_MAPS, phi_model
from anomaly.inference.torch_engine import stored_networks, stored_places
from anomaly.inference.tracing import NUM_EXAMPLES, NUM_IMAGES, sides_to_trace, traced
from anomaly.networks import PlaceNetworks, fold_batch_norm_at_run_time
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
    has_generator = contents.manifest.recipe.has_generator
    model = _exported(contents) if has_generator else _exported_places(contents)
    _move_weights_out(model, byte_ranges(weights))
    model.metadata_props.add(key=TERMS, value=",".join(contents.manifest.terms))
    model.metadata_props.add(key=LAYOUT, value=layout_digest(weights))
    complete = replace(contents, graph=StoredGraph(model.SerializeToString(), weights))
    engine: Engine = OnnxEngine(complete) if has_generator else onnx_place_engine(complete)
    terms, _ = engine.observe(contents.golden.pixels)
    check_goldens(complete, terms, _CALLED)
    return complete


class _Judged(nn.Module):
    """What follows φ."""

    def __init__(self, networks: PlaceNetworks) -> None:
        super().__init__()
        self.networks = networks

    def forward(self, maps: Tensor, window: Tensor, pose: Tensor) -> Tensor:
        return self.networks.judge(maps, window, pose)


class _Flat(nn.Module):
    """The evidence as ONNX has it: a fixed number of tensors."""

    def __init__(self, evidence: EvidenceGraph, terms: Sequence[str]) -> None:
        super().__init__()
        self.evidence = evidence
        self.terms = tuple(terms)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        seen = self.evidence(x, with_maps=True)
        return seen.z_hat, seen.x_hat, torch.stack([seen.terms[name] for name in self.terms], dim=1), seen.maps


def _exported(contents: Contents) -> "ModelProto":
    """The graph with its weights inside, each by its name in the bundle."""
    recipe = contents.manifest.recipe
    networks = stored_networks(contents, _CALLED).eval().requires_grad_(False)
    stored = {id(tensor): name for name, tensor in networks.state_dict(keep_vars=True).items()}
    fold_batch_norm_at_run_time(networks)
    flat = _Flat(EvidenceGraph(networks, recipe), contents.manifest.terms).eval()
    plan = recipe.plan
    x = torch.zeros(NUM_EXAMPLES, plan.channels, plan.size, plan.size)
    model = traced(flat, {"x": x}, OUTPUTS, free=NUM_IMAGES, fold_constants=False)  # it would store folded weights
    names = {name: stored[id(tensor)] for name, tensor in flat.state_dict(keep_vars=True).items()}
    _rename(model, names)
    return model


def _exported_places(contents: Contents) -> "ModelProto":
    """For pictures of the recipe's sides; weights are inside, batch norms as they are."""
    networks = stored_places(contents, _CALLED).eval().requires_grad_(False)
    recipe, maps = contents.manifest.recipe, networks.phi_maps
    channels, side = recipe.preprocess.channels, recipe.preprocess.side
    phi = phi_model(channels, side, with_points=maps.with_points, with_half=maps.with_half)
    sides, free = sides_to_trace(side and side // PLACE, recipe.stride // PLACE)
    seen = torch.zeros(1, maps.num_features, *sides)
    inputs = {PHI_MAPS: seen, WINDOW: torch.ones(2), POSE: torch.from_numpy(AS_IT_LIES)}
    judged = traced(_Judged(networks).eval(), inputs, [MAPS], free=free, fold_constants=False)
    _rename(judged, {f"networks.{name}": name for name in networks.state_dict()})
    named = add_prefix(judged, "judge.", rename_inputs=False, rename_outputs=False, rename_initializers=False)
    return merge_models(phi, named, io_map=[(PHI_MAPS, PHI_MAPS)])


def _rename(model: "ModelProto", names: dict[str, str]) -> None:
    for tensor in model.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)


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
