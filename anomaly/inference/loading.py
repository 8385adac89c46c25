"""From a folder to a detector that is known to work: sums, schema, shapes, and the goldens scored again."""

from pathlib import Path

from anomaly.bundle import Bundle, load
from anomaly.errors import CorruptBundleError
from anomaly.inference.detector import Detector
from anomaly.inference.engine import Engine, EngineName, choose_engine
from anomaly.inference.goldens import check_goldens


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
    match choose_engine(bundle, engine, device):
        case EngineName.ONNXRUNTIME:
            return Detector(bundle, _onnx_engine(bundle))
        case _:
            return Detector(bundle, _torch_engine(bundle, device))


def _onnx_engine(bundle: Bundle) -> Engine:
    from anomaly.inference.onnx_engine import OnnxEngine, onnx_place_engine  # here: it may not be installed

    called = f"the bundle {bundle.ref.path}"
    has_generator = bundle.manifest.recipe.has_generator
    try:
        engine: Engine = OnnxEngine(bundle.contents) if has_generator else onnx_place_engine(bundle.contents)
    except ValueError as error:
        raise CorruptBundleError(f"{called} is corrupt: {error}") from error
    try:
        terms, _ = engine.observe(bundle.contents.golden.pixels)
    except Exception as error:  # its classes have no common base but this
        reason = str(error).partition("\n")[0]
        raise CorruptBundleError(
            f"{called} cannot score its golden images here ({reason}); its graph is damaged, or the memory is full"
        ) from error
    check_goldens(bundle.contents, terms, called)
    return engine


def _torch_engine(bundle: Bundle, device: str) -> Engine:
    """Where an encoder finds latents it is checked too; where a search does, terms are of the stored latents."""
    from anomaly.inference.torch_engine import (  # here: torch takes seconds to import
        TorchEngine,
        stored_networks,
        stored_places,
        torch_place_engine,
    )
    from anomaly.runtime import resolve_device

    contents, called = bundle.contents, f"the bundle {bundle.ref.path}"
    recipe, golden = contents.manifest.recipe, contents.golden
    if not recipe.has_generator:
        has_region = recipe.preprocess.region is not None
        places = torch_place_engine(stored_places(contents, called), resolve_device(device), has_region=has_region)
        check_goldens(contents, places.observe(golden.pixels)[0], called)
        return places
    engine = TorchEngine(stored_networks(contents, called), recipe, resolve_device(device))
    is_searched = recipe.search is not None
    terms = engine.terms_at(golden.pixels, golden.z_hat) if is_searched else engine.observe(golden.pixels)[0]
    check_goldens(contents, terms, called)
    return engine
