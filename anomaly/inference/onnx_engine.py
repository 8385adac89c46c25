"""The evidence graph of a bundle, run by ONNX Runtime on the CPU: no torch is needed.

Images are shared out to threads in small batches, and each batch is computed by one thread: so the threads need not
wait for each other at every layer, which matters where decoding and a server use the same processors. No result depends
on the batch: ONNX Runtime's kernels compute each image alike.
"""

import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import Contents, StoredGraph
from anomaly.bundle.layout import WEIGHTS
from anomaly.bundle.weights import layout_digest
from anomaly.config.places import REFERENCE
from anomaly.data import Pixels, PixelsOfImages, to_floats
from anomaly.extras import import_onnxruntime
from anomaly.inference.engine import EngineName, Explained, Latents, Terms
from anomaly.inference.place_engine import SMALL, WARM_SIDES, PlaceEngine, Strips
from anomaly.inference.threads import EngineThreads
from anomaly.processors import num_threads

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg, RunOptions, SessionOptions

onnxruntime = import_onnxruntime()

OUTPUTS = ("z_hat", "x_hat", "terms", "maps")
TERMS, LAYOUT = "terms", "weights"  # in the graph's metadata, what it was made for: term names, weights' layout
WINDOW, POSE, MAPS = "window", "pose", "maps"
"""The inputs after x, and the output, of a graph of places. One that was made before there were poses takes none."""
BATCH_PIXELS = 2**15  # of all images of a batch: what a processor's cache holds of their feature maps
MAX_BATCH_SIZE = 64
_FATAL_ONLY = 4  # an error is raised, and whoever catches it says it


class OnnxEngine:
    """A session of ONNX Runtime on the graph that the contents hold."""

    name = EngineName.ONNXRUNTIME

    def __init__(self, contents: Contents, threads: int | None = None) -> None:
        """`threads` is by default as many as this process may use (see `num_threads`).

        Raises:
            ValueError: ONNX Runtime cannot load the graph, or its outputs are not those of the manifest.
        """
        assert contents.graph is not None
        manifest = contents.manifest
        self._contents = contents
        self._terms = manifest.terms
        self._shape = (manifest.recipe.preprocess.channels, *[manifest.recipe.preprocess.size] * 2)
        self._threads = EngineThreads(threads or num_threads(), "onnxruntime")
        self._session = session_of(contents.graph)
        found = {value.name: tuple(value.shape[1:]) for value in _inputs_and_outputs(self._session)}
        wanted = {
            "x": self._shape,
            "z_hat": (manifest.recipe.network.latent_dim,),
            "x_hat": self._shape,
            "terms": (len(self._terms),),
            "maps": (len(contents.map_scale.layers), *self._shape[1:]),
        }
        if found != wanted:
            raise ValueError(f"its graph has the inputs and outputs {found}, its manifest asks for {wanted}")
        made_for = self._session.get_modelmeta().custom_metadata_map
        if made_for.get(TERMS) != (names := ",".join(self._terms)):
            raise ValueError(f"its networks give the terms {made_for.get(TERMS)}, its manifest names {names}")
        if made_for.get(LAYOUT) != layout_digest(contents.graph.weights):
            raise ValueError("its weights do not fit its graph")

    @property
    def grain(self) -> int:
        """See `Engine`: each thread has an image."""
        return self._threads.num

    def __reduce__(self) -> tuple[type["OnnxEngine"], tuple[Contents, int]]:
        """A detector may be handed to another process, or copied; a session of ONNX Runtime is made anew there."""
        return OnnxEngine, (self._contents, self._threads.num)

    def observe(self, pixels: PixelsOfImages) -> tuple[Terms, Latents]:
        """See `Engine`."""
        terms, z_hat = self._run(np.asarray(pixels), "terms", "z_hat")
        return self._named(terms), z_hat

    def explain(self, pixels: PixelsOfImages, z_hat: Latents) -> Explained:
        """See `Engine`; the graph finds z_hat again."""
        x_hat, maps = self._run(np.asarray(pixels), "x_hat", "maps")
        return x_hat, maps

    def examine(self, pixels: PixelsOfImages) -> tuple[Terms, Latents, Explained]:
        """See `Engine`: all outputs of one run."""
        terms, z_hat, x_hat, maps = self._run(np.asarray(pixels), "terms", "z_hat", "x_hat", "maps")
        return self._named(terms), z_hat, (x_hat, maps)

    def warm(self, max_images: int) -> None:
        """Run one image, and the largest batch, in each thread: the first run of a session makes its plans."""
        for num in (1, min(max_images, self._threads.num * self._batch_size())):
            self.observe(np.zeros((num, *self._shape), np.uint8))

    def _named(self, terms: NDArray[np.float32]) -> Terms:
        return dict(zip(self._terms, terms.T.astype(np.float64), strict=True))

    def _run(self, pixels: Pixels, *outputs: str) -> list[NDArray[np.float32]]:
        size = min(self._batch_size(), -(-len(pixels) // self._threads.num))
        batches = [pixels[start : start + size] for start in range(0, len(pixels), size)]
        run = partial(_run_batch, self._session, outputs)
        is_shared = self._threads.num > 1 and len(batches) > 1
        parts = list(self._threads.map(run, batches) if is_shared else map(run, batches))
        return parts[0] if len(parts) == 1 else [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def _batch_size(self) -> int:
        return max(1, min(MAX_BATCH_SIZE, BATCH_PIXELS // self._shape[1] ** 2))


def onnx_place_engine(contents: Contents) -> PlaceEngine:
    """The evidence of places by ONNX Runtime, from the graph that the contents hold.

    Raises:
        ValueError: ONNX Runtime cannot load the graph, or its weights are others.
    """
    assert contents.graph is not None
    threads, preprocess = num_threads(), contents.manifest.recipe.preprocess
    small, large = _RunPlaces(contents.graph, 1), _RunPlaces(contents.graph, threads)
    if small.session.get_modelmeta().custom_metadata_map.get(LAYOUT) != layout_digest(contents.graph.weights):
        raise ValueError("its weights do not fit its graph")
    return PlaceEngine(
        EngineName.ONNXRUNTIME,
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


def session_of(graph: StoredGraph, threads: int = 1) -> "InferenceSession":
    """A session that runs each batch in the thread that calls it, or with that one and others.

    Raises:
        ValueError: ONNX Runtime cannot load the graph.
    """
    options = _options(threads)
    options.add_external_initializers_from_files_in_memory([WEIGHTS], [graph.weights], [len(graph.weights)])
    try:
        return _session(graph.onnx, options)
    except Exception as error:  # its classes have no common base but this
        raise ValueError(f"ONNX Runtime cannot load its graph ({str(error).partition(chr(10))[0]})") from error


def session_of_model(model: bytes, threads: int) -> "InferenceSession":
    """A session on a model that has its weights inside."""
    return _session(model, _options(threads))


def _options(threads: int) -> "SessionOptions":
    options: SessionOptions = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = _FATAL_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a waiting thread takes time from others
    return options


def _session(model: bytes, options: "SessionOptions") -> "InferenceSession":
    """Without the fallback, which prints what is wrong, and tries the same once more."""
    session: InferenceSession = onnxruntime.InferenceSession(
        model, options, ["CPUExecutionProvider"], enable_fallback=False
    )
    return session


def _inputs_and_outputs(session: "InferenceSession") -> Iterator["NodeArg"]:
    yield from session.get_inputs()
    yield from session.get_outputs()


def _run_batch(session: "InferenceSession", outputs: tuple[str, ...], pixels: Pixels) -> list[NDArray[np.float32]]:
    found: list[NDArray[np.float32]] = session.run(list(outputs), {"x": to_floats(pixels)})
    return found
