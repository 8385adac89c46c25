"""What an exported model can be run by, and what each needs."""

from enum import StrEnum


class Runtime(StrEnum):
    """By the word that `--format` has."""

    ONNX = "onnx"
    OPENVINO = "openvino"

    @property
    def library(self) -> str:
        """The package that runs the model."""
        return "onnxruntime" if self is Runtime.ONNX else "openvino"

    @property
    def file(self) -> str:
        """The model's file; OpenVINO has its weights beside it."""
        return "model.onnx" if self is Runtime.ONNX else "model.xml"
