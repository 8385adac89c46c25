"""The evidence graph of places, run by ONNX Runtime on the CPU: no torch is needed."""

import sys
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import Contents, StoredGraph
from anomaly.bundle.weights import layout_digest
from anomaly.config.places import REFERENCE
from anomaly.data import Pixels, to_floats
from anomaly.inference.engine import EngineName
from anomaly.inference.onnx_sessions import LAYOUT, onnxruntime, session_of
from anomaly.inference.place_engine import MAPS, POSE, SMALL, WARM_SIDES, WINDOW, PlaceEngine, Strips
from anomaly.processors import num_threads

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions


def onnx_place_engine(contents: Contents) -> PlaceEngine:
    """The evidence of places by ONNX Runtime, from the graph that the contents hold.

    Raises:
        ValueError: ONNX Runtime cannot load the graph, or its weights are others.
    """
    assert contents.graph is not None
    threads, recipe = num_threads(), contents.manifest.recipe
    preprocess = recipe.preprocess
    small, large = _RunPlaces(contents.graph, 1), _RunPlaces(contents.graph, threads)
    if small.session.get_modelmeta().custom_metadata_map.get(LAYOUT) != layout_digest(contents.graph.weights):
        raise ValueError("its weights do not fit its graph")
    return PlaceEngine(
        EngineName.ONNXRUNTIME,
        recipe.features.evidence,
        small,
        large,
        threads,
        strips=Strips() if small.takes_pose else Strips(columns=sys.maxsize),
        warm_shape=(preprocess.channels, *([preprocess.side] * 2 if preprocess.side else WARM_SIDES)),
        reference=None if (found := contents.weights.get(REFERENCE)) is None else found.astype(np.float32),
        has_region=preprocess.region is not None,
    )


class _RunPlaces:
    """A session on a graph of places; as `OnnxEngine`, it may be copied or handed to another process."""

    def __init__(self, graph: StoredGraph, threads: int) -> None:
        self._graph, self._threads = graph, threads
        self.session = session_of(graph, threads)
        self._run = PictureRun(self.session, MAPS)

    @property
    def takes_pose(self) -> bool:
        """Whether the graph was made since there are poses."""
        return POSE in {value.name for value in self.session.get_inputs()}

    def __reduce__(self) -> tuple[type["_RunPlaces"], tuple[StoredGraph, int]]:
        return _RunPlaces, (self._graph, self._threads)

    def __call__(self, pixels: Pixels, window: NDArray[np.float32], pose: NDArray[np.float32]) -> NDArray[np.float32]:
        inputs = {"x": to_floats(pixels[None]), WINDOW: window, POSE: pose}
        return self._run({value.name: inputs[value.name] for value in self.session.get_inputs()})


class PictureRun:
    """One output of a session for one picture, the input `x` (1, c, h, w), and what else the session takes."""

    def __init__(self, session: "InferenceSession", output: str) -> None:
        self._session, self._output = session, output
        self._planned: set[tuple[int, ...]] = set()  # shapes of large pictures

    def __call__(self, inputs: "dict[str, NDArray[np.float32]]") -> NDArray[np.float32]:
        """The output of that picture, without the first axis."""
        shape = inputs["x"].shape
        is_first = shape[2] * shape[3] > SMALL and shape not in self._planned
        found: NDArray[np.float32] = self._session.run([self._output], inputs, _giving_back() if is_first else None)[0][
            0
        ]
        if is_first:
            self._planned.add(shape)
        return found


def _giving_back() -> "RunOptions":
    """For the first run of a shape: it takes its memory piece by piece, and later ones as one block beside the pieces.

    Without this both stay: of a picture of 12 megapixels 2.2 GB, with it 1.5 GB. In each run it would cost a tenth.
    """
    options: RunOptions = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options
