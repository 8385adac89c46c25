"""Recordings: a CUDA graph is played on a CPU, by replaying onto the same memory; on a GPU it is a real one."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from anomaly.inference import load_detector
from anomaly.inference.recorded import Function, Recorded, Replay
from tests.digit_images import digits

Shapes = list[tuple[int, ...]]


def double(x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
    return {"twice": 2 * x, "sum": x.sum() if y is None else x.sum() + y.sum()}


class Tape:
    """As a graph: records once, on memory of its own, and replays onto the same outputs."""

    def __init__(self) -> None:
        self.recorded: Shapes = []

    def __call__(self, function: Function, inputs: tuple[Tensor, ...]) -> Replay:
        self.recorded.append(tuple(len(x) for x in inputs))
        outputs = function(*inputs)

        def replay() -> dict[str, Tensor]:
            for name, value in function(*inputs).items():
                outputs[name].copy_(value)
            return outputs

        return replay


def test_each_shape_is_recorded_once_and_replayed_on_what_is_given() -> None:
    tape = Tape()
    recorded = Recorded(double, tape)
    for n in (2, 3, 2, 3, 2):
        x = torch.rand(n)
        torch.testing.assert_close(recorded(x), double(x))
    torch.testing.assert_close(recorded(torch.ones(2), torch.ones(5)), double(torch.ones(2), torch.ones(5)))
    assert tape.recorded == [(2,), (3,), (2, 5)]


def test_what_is_given_and_what_was_returned_are_left_alone() -> None:
    recorded = Recorded(double, Tape())
    given = torch.ones(2)
    first = recorded(given)
    recorded(torch.zeros(2))
    assert given.tolist() == [1.0, 1.0]
    assert first["twice"].tolist() == [2.0, 2.0]


def test_threads_do_not_meet() -> None:
    recorded = Recorded(double, Tape())
    inputs = [torch.full((64,), float(value)) for value in range(200)]
    with ThreadPoolExecutor(8) as pool:
        for x, found in zip(inputs, pool.map(recorded, inputs), strict=True):
            torch.testing.assert_close(found, double(x))


def test_what_cannot_be_recorded_is_computed_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(function: Function, inputs: tuple[Tensor, ...]) -> Replay:
        raise RuntimeError("operation not permitted when stream is capturing")

    recorded = Recorded(double, refuse)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            x = torch.rand(4)
            torch.testing.assert_close(recorded(x), double(x))
    (said,) = caplog.messages
    assert "cannot record" in said
    assert "not permitted" in said


def test_no_room_is_the_callers_to_know_and_the_next_call_tries_again() -> None:
    tape = Tape()

    def crowded(function: Function, inputs: tuple[Tensor, ...]) -> Replay:
        if not tape.recorded:
            tape(function, inputs)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return tape(function, inputs)

    recorded = Recorded(double, crowded)
    with pytest.raises(torch.OutOfMemoryError):
        recorded(torch.ones(4))
    torch.testing.assert_close(recorded(torch.ones(4)), double(torch.ones(4)))


@pytest.mark.parametrize("model", ["bigan_dir", "patched_dir", "bf16_dir"])
def test_a_recorded_pass_sees_what_a_plain_one_does(model: str, request: pytest.FixtureRequest) -> None:
    """Every shape, images of every digit: no value decides what is computed, which a recording could not follow."""
    detector = load_detector(request.getfixturevalue(model), device="cpu")
    images, passes = list(digits("test")[:80]), detector._passes
    expected = detector.score(images)
    assert np.isfinite(expected.score).all()
    tape = Tape()
    passes._see_on_device = Recorded(passes._see, tape)
    for n in (1, 16, 17, 80, 3):
        found = detector.score(images[:n])
        assert_allclose(found.score, expected.score[:n], rtol=detector.bundle.manifest.tolerance)
        assert_allclose(found.x_hat, expected.x_hat[:n], atol=1e-2)
    assert tape.recorded == [(16,), (32,), (80,)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("model", ["bigan_dir", "anogan_dir", "patched_dir", "bf16_dir"])
def test_a_gpu_scores_as_the_cpu_does(model: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(model)
    here, there = load_detector(folder, device="cpu"), load_detector(folder, device="cuda")
    images = list(digits("test")[:100])
    tolerance = 10 * here.bundle.manifest.tolerance
    for n in (1, 16, 100):
        assert_allclose(there.score(images[:n]).score, here.score(images[:n]).score, rtol=tolerance)
    assert np.isfinite(there.score(images[:1]).heatmap[0]).all()
