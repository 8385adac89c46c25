"""Sessions of ONNX Runtime on the CPU."""

from typing import TYPE_CHECKING

from anomaly.bundle import StoredGraph
from anomaly.bundle.layout import WEIGHTS
from anomaly.errors import first_line
from anomaly.extras import import_onnxruntime

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

onnxruntime = import_onnxruntime()

TERMS, LAYOUT = "terms", "weights"  # in the graph's metadata, what it was made for: term names, weights' layout
_FATAL_ONLY = 4  # an error is raised, and whoever catches it says it


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
        raise ValueError(f"ONNX Runtime cannot load its graph ({first_line(error)})") from error


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
