"""One thread of a process trains or traces at a time; others of what it does are not disturbed."""

import multiprocessing
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from anomaly.estimator import GanDetector
from anomaly.inference.tracing import traced
from anomaly.pipeline.train import TrainOptions, TrainWatch, train_bundle
from anomaly.process_state import owning_process_state
from anomaly.training import LearnWatch, learn
from tests.digit_images import digits
from tests.inference.engines import by_torch
from tests.training.runs import CPU
from tests.training.runs import digits as digits_of
from tests.training.test_learn import RECORD, SPLIT, Greys, N, recipe_of

LONG_ENOUGH_S = 2.0  # for what does not wait to begin
Begins = Callable[[], None]


def learns(begun: Begins, folder: Path) -> None:
    watch = LearnWatch(on_rows=lambda rows: begun())
    learn(digits_of(N), SPLIT, recipe_of(training={"steps": 1}), RECORD, observer=Greys, device=CPU, watch=watch)


def trains(begun: Begins, folder: Path) -> None:
    brief = {"preprocess": {"size": 8}, "network": {"latent_dim": 2, "width": 4}, "training": {"steps": 1}}
    options = TrainOptions(data="digits", out=folder / "m", recipe="digits", normal=("0",), overrides=brief)
    train_bundle(options, TrainWatch(on_data=lambda sentences: begun()))


def traces(begun: Begins, folder: Path) -> None:
    def export(*given: object, **options: object) -> None:
        begun()
        raise InterruptedError

    with pytest.MonkeyPatch.context() as patch, suppress(InterruptedError):
        patch.setattr(torch.onnx, "export", export)
        traced(nn.Identity(), {"x": torch.zeros(2, 3)}, ["y"], free={}, fold_constants=False)


@pytest.mark.parametrize("work", [trains, learns, traces])
def test_what_trains_or_traces_waits_for_the_other_thread(work: Callable[[Begins, Path], None], tmp_path: Path) -> None:
    begun = Event()
    thread = Thread(target=work, args=(begun.set, tmp_path))
    with owning_process_state(), owning_process_state():  # a thread may own it twice
        thread.start()
        assert not begun.wait(LONG_ENOUGH_S)
    thread.join(60)
    assert begun.is_set()


def test_trainings_in_threads_give_what_each_gives_alone() -> None:
    def scores(steps: int) -> Any:
        tiny = ("preprocess.size=8", "network.hidden=[16]", "training.batch_size=8", f"training.steps={steps}")
        found = GanDetector("mlp-gan", overrides=tiny, random_state=0, device="cpu").fit(digits("train", "0"))
        return found.score_samples(digits("test", "0"))

    def score(steps: int) -> None:
        together[steps] = scores(steps)

    alone, together = {steps: scores(steps) for steps in (5, 40)}, dict[int, Any]()
    threads = [Thread(target=score, args=(steps,)) for steps in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for steps, expected in alone.items():
        np.testing.assert_array_equal(together[steps], expected)


@pytest.mark.parametrize("model", ["bigan_dir", "phi_dir", "patched_dir", "whole_places_dir"])
def test_loading_draws_no_random_numbers_of_the_process(model: str, request: pytest.FixtureRequest) -> None:
    """Of a training in another thread they would be missing."""
    folder = request.getfixturevalue(model)
    before = torch.get_rng_state()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "set_rng_state", lambda state: pytest.fail("it was set"))
        by_torch(folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_forked_process_waits_for_no_thread_that_it_does_not_have() -> None:
    def own() -> None:
        with owning_process_state():
            pass

    child = multiprocessing.get_context("fork").Process(target=own)
    held, free = Event(), Event()

    def hold() -> None:
        with owning_process_state():
            held.set()
            free.wait()

    thread = Thread(target=hold)
    thread.start()
    held.wait()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of forking beside threads
        child.start()
    child.join(30)
    is_alive = child.is_alive()
    child.kill()
    free.set()
    thread.join()
    assert not is_alive
