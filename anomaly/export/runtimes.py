"""What an exported model can be run by, and what each needs."""

from enum import StrEnum
from typing import Never

from anomaly.errors import UsageError


class Runtime(StrEnum):
    """By the word that `--format` has; another one raises UsageError."""

    ONNX = "onnx"
    OPENVINO = "openvino"

    @classmethod
    def _missing_(cls, value: object) -> Never:
        raise UsageError(f"there is no export format {value!r}; choose one of {', '.join(cls)}")

    @property
    def library(self) -> str:
        """The package that runs the model."""
        return "onnxruntime" if self is Runtime.ONNX else "openvino"

    @property
    def file(self) -> str:
        """The model's file; OpenVINO has its weights beside it."""
        return "model.onnx" if self is Runtime.ONNX else "model.xml"
