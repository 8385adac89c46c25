"""From a folder to a detector that is known to work: sums, schema, shapes, and the goldens scored again."""

from pathlib import Path

from anomaly.bundle import Bundle, Contents, load
from anomaly.errors import CorruptBundleError, first_line
from anomaly.inference.detector import Detector
from anomaly.inference.engine import Engine, EngineName, choose_engine
from anomaly.inference.goldens import check_goldens
from anomaly.inference.kinds import onnx_engine_of, stored_networks


def load_detector(model: str | Path, *, device: str = "auto", engine: str = "auto") -> Detector:
    """Load and verify MODEL, a bundle's name directory (its current version) or a version directory.

    `engine` is "torch", "onnxruntime", or "auto" (see `choose_engine`).

    Raises:
        BundleNotFoundError: there is no bundle.
        CorruptBundleError: its files differ from what was written, or it scores its golden images differently.
        DeviceError: the device is not there.
        UsageError: the engine cannot score this bundle, or is not installed; or MODEL is an empty text.
    """
    return detector_of(load(model), device=device, engine=engine)


def detector_of(bundle: Bundle, *, device: str = "auto", engine: str = "auto") -> Detector:
    """A detector on a bundle that is in memory, whose golden images are scored again; see `load_detector`."""
    contents, called = bundle.contents, f"the bundle {bundle.ref.path}"
    match choose_engine(bundle, engine, device):
        case EngineName.ONNXRUNTIME:
            return Detector(bundle, checked_onnx_engine(contents, called))
        case _:
            return Detector(bundle, _checked_torch_engine(contents, called, device))


def checked_onnx_engine(contents: Contents, called: str) -> Engine:
    """The engine that runs the graph of the contents. Error messages call the bundle `called`.

    Raises:
        CorruptBundleError: ONNX Runtime cannot load the graph, or it does not give the goldens' terms.
    """
    try:
        engine = onnx_engine_of(contents)
    except ValueError as error:
        raise CorruptBundleError(f"{called} is corrupt: {error}") from error
    try:
        terms, _ = engine.observe(contents.golden.pixels)
    except Exception as error:  # its classes have no common base but this
        raise CorruptBundleError(
            f"{called} cannot score its golden images here ({first_line(error)}); its graph is damaged, or the memory "
            "is full"
        ) from error
    check_goldens(contents, terms, called)
    return engine


def _checked_torch_engine(contents: Contents, called: str, device: str) -> Engine:
    from anomaly.runtime import resolve_device  # here: torch takes seconds to import

    engine, terms = stored_networks(contents, called).engine(resolve_device(device))
    check_goldens(contents, terms, called)
    return engine
