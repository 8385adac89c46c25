"""What may not be installed: each optional part of the project is an extra, and its absence is one sentence."""

import os
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from anomaly.errors import UsageError

WITH_TORCH = ("torch", "onnx", "onnxscript", "onnxruntime")
"""What the extra `torch` brings: networks are trained by the first, and a bundle's graph is made by all of them."""


def require(what: str, extra: str, *libraries: str, instead: str = "") -> None:
    """Call this before any work for which the libraries are needed; `what` begins the message.

    `instead` is what else a user can do, in the imperative.

    Raises:
        UsageError: one of them is not installed.
    """
    for library in libraries:
        try:
            import_onnxruntime() if library == "onnxruntime" else import_module(library)
        except ImportError as error:
            otherwise = f", or {instead}" if instead else ""
            raise UsageError(f"{what} needs {library}: pip install 'anomaly[{extra}]'{otherwise}") from error


def is_installed(library: str) -> bool:
    """Whether a library can be imported, without importing it."""
    return find_spec(library) is not None


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime, told to send nothing: its builds report models and sessions to Microsoft since version 1.29.

    It reads the variable when it is first imported, and is told again for Windows, where it does not read it.
    Source: docs/Privacy.md of ONNX Runtime; pull request 27379, "Add POSIX telemetry".
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    onnxruntime = import_module("onnxruntime")
    onnxruntime.disable_telemetry_events()
    return onnxruntime
