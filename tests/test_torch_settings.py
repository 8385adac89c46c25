"""What the program around has set changes no score, and this package changes nothing of what it has set."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from anomaly import torch_settings
from anomaly.estimator import GanDetector
from anomaly.torch_settings import own_draws, own_settings
from tests.digit_images import digits, normals, others
from tests.inference.engines import by_torch, engine_of

Surroundings = Callable[[], AbstractContextManager[object]]


@contextmanager
def in_double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def in_shorter_precision() -> Iterator[None]:
    """As `torch.set_float32_matmul_precision("medium")`, for convolutions too. It counts on CPUs that have bfloat16."""
    settings: Any = torch.backends.mkldnn
    before = settings.conv.fp32_precision, settings.matmul.fp32_precision
    settings.conv.fp32_precision = settings.matmul.fp32_precision = "bf16"
    try:
        yield
        assert (settings.conv.fp32_precision, settings.matmul.fp32_precision) == ("bf16", "bf16")
    finally:
        settings.conv.fp32_precision, settings.matmul.fp32_precision = before


SURROUNDINGS: dict[str, Surroundings] = {
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu"),
    "double precision": in_double_precision,
    "bfloat16 products": in_shorter_precision,
    "no device": lambda: torch.device("meta"),
}


@pytest.fixture(params=SURROUNDINGS)
def surroundings(request: pytest.FixtureRequest) -> Surroundings:
    chosen: str = request.param
    return SURROUNDINGS[chosen]


@pytest.mark.parametrize("model", ["bigan_dir", "anogan_dir", "whole_places_dir"])
def test_what_is_set_around_changes_no_score(
    model: str, surroundings: Surroundings, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(model)
    images = list(normals()[:3]) + list(others()[:3])
    scores = by_torch(folder).score(images)
    expected, pictures = scores.score, scores.heatmap
    with surroundings():
        inside = by_torch(folder).score(images)
        found, seen = inside.score, inside.heatmap
    assert_array_equal(found, expected)
    assert_array_equal(np.stack(seen), np.stack(pictures))


def test_what_is_set_around_changes_no_sample(bigan_dir: Path, surroundings: Surroundings) -> None:
    detector = by_torch(bigan_dir)
    engine = engine_of(detector)
    z = np.ones((2, detector.bundle.manifest.recipe.network.latent_dim), np.float32)
    expected = engine.generate(z)
    with surroundings():
        found = engine.generate(z)
    assert_array_equal(found, expected)


def fitted() -> GanDetector:
    return GanDetector("digits", overrides=("training.steps=3",)).fit(digits("train", "0"))


def test_what_is_set_around_changes_no_training(surroundings: Surroundings) -> None:
    expected = fitted().score_samples(others()[:3])
    with surroundings():
        found = fitted()
    assert_array_equal(found.score_samples(others()[:3]), expected)


@pytest.mark.parametrize("work", [fitted, "bigan_dir", "anogan_dir", "whole_places_dir"])
def test_random_numbers_and_threads_of_the_program_stay(
    work: Callable[[], object] | str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(work, str):
        folder: Path = request.getfixturevalue(work)
    monkeypatch.setattr(torch_settings, "_most_threads", lambda: 1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        drawn = torch.random.get_rng_state()
        if isinstance(work, str):
            by_torch(folder).score(normals()[0])
        else:
            work()
        assert torch.equal(torch.random.get_rng_state(), drawn)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_what_computes_has_no_more_threads_than_there_are_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_settings, "_most_threads", lambda: 1)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with own_settings():
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_seeding_inside_changes_no_draw_outside() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with own_draws():
        torch.manual_seed(5)
    assert torch.equal(torch.rand(3), expected)


def test_the_last_of_several_threads_sets_back_what_was_there() -> None:
    has_entered, may_leave = threading.Event(), threading.Event()

    def stay() -> None:
        with own_settings():
            has_entered.set()
            may_leave.wait()

    with in_double_precision():
        thread = threading.Thread(target=stay)
        with own_settings():
            thread.start()
            has_entered.wait()
        inside = torch.get_default_dtype()
        may_leave.set()
        thread.join()
        assert (inside, torch.get_default_dtype()) == (torch.float32, torch.float64)


BEFORE = [
    "pass",
    "torch.set_float32_matmul_precision('high')",
    "torch.backends.cudnn.conv.fp32_precision = 'tf32'",
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
    "torch.backends.fp32_precision = 'tf32'",
    "torch.backends.cudnn.allow_tf32 = False",
]
EACH_FOR_ITSELF = f"""
import os
import torch
from anomaly.torch_settings import own_settings
backends = torch.backends
def precisions():
    return [each.fp32_precision for each in (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul,
                                             backends.mkldnn.conv, backends.mkldnn.matmul, backends.mkldnn.rnn)]
def check(before, has_cuda):
    backends.cuda.is_built = lambda: has_cuda
    exec(before)
    state = precisions()
    with own_settings():
        assert set(precisions()[0 if has_cuda else 3:]) <= {{"none", "ieee"}}  # which both are single precision
        if has_cuda:
            assert not backends.cudnn.allow_tf32 and not backends.cuda.matmul.allow_tf32
        if has_cuda and backends.fp32_precision == "none":  # with another, torch's own context fails by itself
            with backends.cudnn.flags(enabled=True, allow_tf32=False):
                pass
    assert precisions() == state
for before in {BEFORE}:
    for has_cuda in (True, False):
        if not (child := os.fork()):
            check(before, has_cuda)
            os._exit(0)
        if not os.waitpid(child, 0)[1]:
            print(before, has_cuda)
"""


@pytest.fixture(scope="module")
def held() -> list[str]:
    """In which cases it holds, each in a process of its own; all of them begin as one, because torch loads slowly."""
    done = subprocess.run([sys.executable, "-c", EACH_FOR_ITSELF], capture_output=True, text=True, check=False)
    print(done.stderr)  # noqa: T201
    return done.stdout.splitlines()


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("has_cuda", [True, False])
def test_single_precision_is_never_shortened_inside_and_as_it_was_outside(
    before: str, has_cuda: bool, held: list[str]
) -> None:
    """Torch's older settings must be readable inside, too, as its own contexts read them."""
    assert f"{before} {has_cuda}" in held
