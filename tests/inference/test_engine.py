"""Which engine runs a bundle, by what is asked for, what is installed, and what the machine has."""

from pathlib import Path

import pytest
import torch

from anomaly import runtime
from anomaly.bundle import load
from anomaly.errors import DeviceError, UsageError
from anomaly.inference import engine as module
from anomaly.inference.engine import EngineName, choose_engine

SCHEMA1 = Path(__file__).parents[1] / "bundle" / "schema1"


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> "pytest.MonkeyPatch":
    """No GPU, so that the machine of the test does not matter."""
    monkeypatch.setattr(module, "_may_have_gpu", lambda: False)
    return monkeypatch


@pytest.mark.parametrize(
    ("model", "engine", "device", "expected"),
    [
        ("bigan_dir", "auto", "auto", EngineName.ONNXRUNTIME),
        ("bigan_dir", "auto", "cpu", EngineName.ONNXRUNTIME),
        ("bigan_dir", "auto", "cuda", EngineName.TORCH),
        ("bigan_dir", "torch", "cpu", EngineName.TORCH),
        ("bigan_dir", "onnxruntime", "auto", EngineName.ONNXRUNTIME),
        ("anogan_dir", "auto", "auto", EngineName.TORCH),
        ("bf16_dir", "auto", "cpu", EngineName.TORCH),
    ],
)
def test_what_is_asked_for_decides(
    request: pytest.FixtureRequest,
    without: pytest.MonkeyPatch,
    model: str,
    engine: str,
    device: str,
    expected: EngineName,
) -> None:
    assert choose_engine(load(request.getfixturevalue(model)), engine, device) is expected


@pytest.mark.parametrize(("found", "expected"), [("cuda", EngineName.TORCH), ("cpu", EngineName.ONNXRUNTIME)])
def test_where_there_may_be_a_gpu_torch_is_asked(
    bigan_dir: Path, monkeypatch: pytest.MonkeyPatch, found: str, expected: EngineName
) -> None:
    monkeypatch.setattr(module, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(runtime, "resolve_device", lambda name: torch.device(found))
    assert choose_engine(load(bigan_dir)) is expected
    assert choose_engine(load(bigan_dir), "onnxruntime") is EngineName.ONNXRUNTIME


def test_a_bundle_of_an_older_schema_is_scored_by_torch(without: pytest.MonkeyPatch) -> None:
    bundle = load(SCHEMA1 / "bigan")
    assert choose_engine(bundle) is EngineName.TORCH
    with pytest.raises(UsageError, match=r"is of schema 1, without a graph \(`anomaly models upgrade` makes one\)"):
        choose_engine(bundle, "onnxruntime")


def test_what_onnx_runtime_cannot_do_is_refused_by_name(
    anogan_dir: Path, bf16_dir: Path, bigan_dir: Path, without: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="which finds latents by search, which takes gradients; choose the"):
        choose_engine(load(anogan_dir), "onnxruntime")
    with pytest.raises(UsageError, match="which scores in bf16; choose the engine torch"):
        choose_engine(load(bf16_dir), "onnxruntime")
    with pytest.raises(DeviceError, match="scores on the CPU, and the device 'cuda' was asked for"):
        choose_engine(load(bigan_dir), "onnxruntime", "cuda")
    with pytest.raises(UsageError, match="there is no engine 'tensorrt'; choose one of auto, torch, onnxruntime"):
        choose_engine(load(bigan_dir), "tensorrt")


def test_without_onnx_runtime_torch_scores(bigan_dir: Path, without: pytest.MonkeyPatch) -> None:
    without.setattr(module, "is_installed", lambda library: library != "onnxruntime")
    assert choose_engine(load(bigan_dir)) is EngineName.TORCH
