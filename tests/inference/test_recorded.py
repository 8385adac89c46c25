"""Recordings: a CUDA graph is played on a CPU, by replaying onto the same memory; on a GPU it is a real one."""

import copy
import gc
import logging
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from anomaly.inference import load_detector
from anomaly.inference.recorded import Function, Recorded, Replay
from tests.digit_images import digits
from tests.inference.engines import by_torch, engine_of


def double(x: Tensor) -> dict[str, Tensor]:
    return {"twice": 2 * x, "sum": x.sum()}


class Played(Recorded):
    """As with a graph: recorded once a shape, on memory of its own, and replayed into the same results."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[int] = []

    def _record(self, function: Function, x: Tensor) -> Replay:
        self.recorded.append(len(x))
        results = function(x)

        def replay() -> dict[str, Tensor]:
            for name, value in function(x).items():
                results[name].copy_(value)
            return results

        return replay


class Refusing(Recorded):
    """Nothing can be recorded."""

    def __init__(self, error: RuntimeError) -> None:
        super().__init__()
        self.error = error

    def _record(self, function: Function, x: Tensor) -> Replay:
        raise type(self.error)(*self.error.args)  # one that is kept would keep the frames it has passed


def test_each_shape_is_recorded_once_and_replayed_on_what_is_given() -> None:
    played = Played()
    for n in (2, 3, 2, 3, 2):
        x = torch.rand(n)
        torch.testing.assert_close(played(double, x), double(x))
    assert played.recorded == [2, 3]


def test_what_is_given_and_what_was_returned_are_left_alone() -> None:
    played = Played()
    given = torch.ones(2)
    first = played(double, given)
    played(double, torch.zeros(2))
    assert given.tolist() == [1.0, 1.0]
    assert first["twice"].tolist() == [2.0, 2.0]


def test_threads_do_not_meet() -> None:
    played = Played()
    inputs = [torch.full((64,), float(value)) for value in range(200)]
    with ThreadPoolExecutor(8) as pool:
        for x, found in zip(inputs, pool.map(partial(played, double), inputs), strict=True):
            torch.testing.assert_close(found, double(x))


@pytest.mark.parametrize("error", [RuntimeError("not permitted while capturing"), torch.OutOfMemoryError("no room")])
def test_what_cannot_be_recorded_is_computed_and_told_of_once_a_shape(
    error: RuntimeError, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = Refusing(error)
    with caplog.at_level(logging.WARNING):
        for n in (4, 4, 5, 4):
            x = torch.rand(n)
            torch.testing.assert_close(refusing(double, x), double(x))
    assert len(caplog.messages) == 2
    assert all("step by step" in said and str(error) in said for said in caplog.messages)


MODELS = ["bigan_dir", "patched_dir", "bf16_dir"]


@pytest.mark.parametrize("model", MODELS)
def test_a_recorded_pass_gives_what_a_plain_one_does(model: str, request: pytest.FixtureRequest) -> None:
    detector = by_torch(request.getfixturevalue(model))
    images = list(digits("test")[:80])
    expected = detector.score(images)
    assert np.isfinite(expected.score).all()
    assert expected.x_hat is not None
    played = Played()
    engine_of(detector)._recorded = played
    for n in (1, 16, 17, 80, 3):
        found = detector.score(images[:n])
        assert_allclose(found.score, expected.score[:n], rtol=detector.bundle.manifest.tolerance)
        assert found.x_hat is not None
        assert_allclose(found.x_hat, expected.x_hat[:n], atol=1e-2)
    assert played.recorded == [16, 32, 80]


@pytest.mark.parametrize("model", MODELS)
def test_no_value_of_an_image_decides_what_a_pass_computes(model: str, request: pytest.FixtureRequest) -> None:
    """A recording would not follow it. Fake tensors have no values: what asks for one fails."""
    engine = engine_of(by_torch(request.getfixturevalue(model)))
    with torch.inference_mode(), FakeTensorMode(allow_non_fake_inputs=True):
        seen = engine._see(torch.empty(16, 1, 8, 8))
    assert {len(tensor) for tensor in seen.values()} == {16}


class Still(Recorded):
    """A recording that always shows the same; like a graph, it does not hold what it was made of."""

    def _record(self, function: Function, x: Tensor) -> Replay:
        results = function(x)
        return lambda: results


def test_an_engine_goes_as_soon_as_nobody_has_them(bigan_dir: Path) -> None:
    """A bundle that another has replaced must not keep its memory until someone collects cycles."""
    detector = by_torch(bigan_dir)
    engine_of(detector)._recorded = Still()
    gone = weakref.ref(detector.engine)
    gc.disable()
    try:
        detector.score(digits("test")[0])
        del detector
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("model", ["bigan_dir", "anogan_dir", "patched_dir", "bf16_dir", "phi_dir", "region_dir"])
def test_a_gpu_scores_as_the_cpu_does(model: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(model)
    here, there = by_torch(folder), load_detector(folder, device="cuda")
    images = list(digits("test")[:100])
    tolerance = 10 * here.bundle.manifest.tolerance  # another machine
    for n in (1, 16, 100):
        assert_allclose(there.score(images[:n]).score, here.score(images[:n]).score, rtol=tolerance, atol=tolerance)
    assert np.isfinite(there.score(images[:1]).heatmap[0]).all()
    gone = weakref.ref(there.engine)
    del there
    assert gone() is None


def test_a_copy_has_recordings_of_its_own() -> None:
    recorded = Recorded()
    assert isinstance(copy.deepcopy(recorded), Recorded)
    assert copy.deepcopy(recorded) is not recorded
