"""The model of this folder, as a function of pixels. README.md has an example."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
REFERENCE = HERE / "reference.npy"  # there where pictures are aligned
IS_ONNX = not (HERE / "model.xml").exists()
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: ONNX Runtime would report its use to Microsoft
try:
    import numpy as np

    from anomaly.config.choices import Resize  # of the folder anomaly/ beside this file, as the next two
    from anomaly.data import pose, reader  # noqa: F401  # they need Pillow

    runtime: Any = import_module("onnxruntime" if IS_ONNX else "openvino")
except (ImportError, SyntaxError, TypeError) as error:  # the last two in a Python that is too old
    needed = f'Python 3.11 or later, and: pip install -r "{HERE / "requirements.txt"}"'
    argparse.ArgumentParser().error(f"{error}; this program needs {needed}")


def path_of(text: str) -> Path:
    """An argument as a path. An empty one, which would be the folder at hand, is refused."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is an empty text, as where a variable is not set; give a path")
    return Path(text)


def load_about() -> Any:
    """What model.json says, as an object with attributes."""
    about = json.loads((HERE / "model.json").read_text("utf-8"), object_hook=lambda each: argparse.Namespace(**each))
    about.preprocess.resize = Resize(about.preprocess.resize)  # it is compared by identity
    return about


def load_model() -> Any:
    """A function of pixels (n, channels, size, size) uint8 and alpha; it returns the outputs that README.md lists."""
    run = _runtime()
    if not REFERENCE.exists():
        return lambda pixels, alpha: run({"pixels": pixels, "alpha": np.array(alpha)})
    reference = np.load(REFERENCE)

    def aligned(pixels: Any, alpha: float) -> Any:
        how = pose.pose_of(reference, pixels[0]).matrix
        return run({"pixels": pixels, "alpha": np.array(alpha), "pose": how})

    return aligned


def run(main: Callable[[], int]) -> NoReturn:
    """End the program with the exit code of `main`, or with 2 where it cannot go on."""
    try:
        sys.exit(main())
    except BrokenPipeError:  # who read the rows has gone, as `head` does when it has enough
        os._exit(2)  # at once: the usual end would try to write again
    except (OSError, KeyboardInterrupt) as error:  # a file is missing, the disk is full, Ctrl-C
        sys.stderr.write(f"{Path(sys.argv[0]).name} has stopped: {error!r}\n")
        os._exit(2)


def _runtime() -> Any:
    """A function of the inputs by name."""
    if IS_ONNX:
        runtime.disable_telemetry_events()  # again for Windows, where the variable is not read
        session = runtime.InferenceSession(HERE / "model.onnx", providers=["CPUExecutionProvider"])
        return lambda inputs: session.run(None, inputs)
    in_single = {"INFERENCE_PRECISION_HINT": "f32"}  # some processors would take half of it, and score differently
    compiled = runtime.compile_model(HERE / "model.xml", "CPU", in_single)
    return lambda inputs: compiled(inputs).to_tuple()
