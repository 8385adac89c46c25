"""The evidence graph, run by ONNX Runtime on the CPU: no torch is needed.

Images are shared out to threads in small batches, and each batch is computed by one thread: so the threads need not
wait for each other at every layer, which matters where decoding and a server use the same processors. No result depends
on the batch: ONNX Runtime's kernels compute each image alike.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import Contents
from anomaly.bundle.weights import layout_digest
from anomaly.data import Pixels, PixelsOfImages, to_floats
from anomaly.inference.engine import EngineName, Explained, Latents, Terms
from anomaly.inference.onnx_sessions import LAYOUT, TERMS, session_of
from anomaly.inference.threads import EngineThreads
from anomaly.processors import num_threads

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg

BATCH_PIXELS = 2**15  # of all images of a batch: what a processor's cache holds of their feature maps
MAX_BATCH_SIZE = 64


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


def _inputs_and_outputs(session: "InferenceSession") -> Iterator["NodeArg"]:
    yield from session.get_inputs()
    yield from session.get_outputs()


def _run_batch(session: "InferenceSession", outputs: tuple[str, ...], pixels: Pixels) -> list[NDArray[np.float32]]:
    found: list[NDArray[np.float32]] = session.run(list(outputs), {"x": to_floats(pixels)})
    return found
