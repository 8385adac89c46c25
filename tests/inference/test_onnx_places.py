"""ONNX Runtime on a graph of places."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from anomaly.inference import load_detector, onnx_places


def test_the_first_run_of_each_large_shape_gives_memory_back_and_no_other(
    whole_places_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[onnxruntime.RunOptions] = []

    def giving_back() -> onnxruntime.RunOptions:
        given.append(real())
        return given[-1]

    real = onnx_places._giving_back
    detector = load_detector(whole_places_dir, engine="onnxruntime")
    monkeypatch.setattr(onnx_places, "_giving_back", giving_back)
    monkeypatch.setattr(onnx_places, "SMALL", 128 * 128)
    small, large, other = (np.full(shape, 120, np.uint8) for shape in ((100, 100), (200, 300), (300, 200)))
    scores = []
    for image, num in ((small, 0), (large, 1), (large, 1), (other, 2), (large, 2), (small, 2)):
        scores.append(float(detector.score([image]).score[0]))
        assert len(given) == num
    assert scores[1] == scores[2] == scores[4]
    assert given[0].get_run_config_entry("memory.enable_memory_arena_shrinkage") == "cpu:0"
