"""ONNX Runtime on a bundle's graph: it scores as torch does, whatever the batch and the number of threads (law 2)."""

import copy
import gc
import multiprocessing
import pickle
import sys
import threading
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from anomaly.bundle import load
from anomaly.bundle.layout import EVIDENCE
from anomaly.inference import Detector, EngineName, load_detector, onnx_engine
from anomaly.inference.onnx_engine import OnnxEngine
from tests.digit_images import normals, others
from tests.inference.engines import by_torch

Thing = TypeVar("Thing")

MODELS = ["bigan_dir", "patched_dir"]
BETWEEN_ENGINES, WITHIN = 1e-4, 1e-5
each_model = pytest.mark.parametrize("model", MODELS)


@pytest.fixture(params=MODELS)
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def with_threads(folder: Path, threads: int) -> Detector:
    bundle = load(folder)
    return Detector(bundle, OnnxEngine(bundle.contents, threads))


def test_it_is_the_engine_on_a_cpu(folder: Path) -> None:
    assert load_detector(folder, device="cpu").engine.name is EngineName.ONNXRUNTIME


def test_both_engines_give_the_same_evidence_and_pictures(folder: Path) -> None:
    images = [*normals()[:40], *others()[:40]]
    here, there = load_detector(folder, device="cpu").score(images), by_torch(folder).score(images)
    assert_allclose(here.score, there.score, rtol=BETWEEN_ENGINES)
    assert here.is_anomalous == there.is_anomalous
    assert list(here.terms) == list(there.terms)
    for name, term in there.terms.items():
        assert_allclose(here.terms[name], term, rtol=BETWEEN_ENGINES, atol=1e-4, err_msg=name)
    assert here.z_hat is not None
    assert there.z_hat is not None
    assert_allclose(here.z_hat, there.z_hat, rtol=BETWEEN_ENGINES, atol=1e-5)
    assert here.x_hat is not None
    assert there.x_hat is not None
    assert_allclose(here.x_hat, there.x_hat, atol=1e-5)
    assert_allclose(np.stack(here.heatmap), np.stack(there.heatmap), rtol=1e-3, atol=1e-5)


@given(
    order=st.permutations(range(12)),
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    threads=st.integers(1, 5),
)
@settings(max_examples=20)
def test_a_score_depends_on_the_image_only(bigan_dir: Path, order: list[int], sizes: list[int], threads: int) -> None:
    """Not on its batch, its place there, the batch's size, or the number of threads."""
    images = [*normals()[:6], *others()[:6]]
    alone = np.array([float(with_threads(bigan_dir, 1).score(image).score[0]) for image in images])
    detector, found, rows = with_threads(bigan_dir, threads), np.empty(12), list(order)
    while rows:
        size = sizes[len(rows) % len(sizes)]
        batch, rows = rows[:size], rows[size:]
        found[batch] = detector.score([images[row] for row in batch]).score
    assert_allclose(found, alone, rtol=WITHIN)


def test_so_many_images_take_as_long_as_one(bigan_dir: Path) -> None:
    assert [with_threads(bigan_dir, threads).grain for threads in (1, 3)] == [1, 3]


def test_the_order_of_results_is_that_of_the_images_however_many_threads(folder: Path) -> None:
    images = list(np.resize(np.concatenate([normals(), others()]), (700, 8, 8)))
    one, many = with_threads(folder, 1).score(images), with_threads(folder, 3).score(images)
    assert_allclose(many.score, one.score, rtol=WITHIN)
    assert many.x_hat is not None
    assert one.x_hat is not None
    assert_allclose(many.x_hat, one.x_hat, atol=1e-6)


def test_the_file_is_a_graph_for_anybody_who_has_onnx_runtime(folder: Path) -> None:
    """Opened by its path, with the weights beside it; names and shapes are those that the guide gives."""
    bundle = load(folder)
    session = onnxruntime.InferenceSession(str(bundle.ref.path / EVIDENCE), providers=["CPUExecutionProvider"])
    assert [(x.name, x.shape[1:]) for x in session.get_inputs()] == [("x", [1, 8, 8])]
    assert [output.name for output in session.get_outputs()] == ["z_hat", "x_hat", "terms", "maps"]
    golden, pixels = bundle.contents.golden, bundle.contents.golden.pixels
    z_hat, x_hat, terms, maps = session.run(None, {"x": pixels.astype(np.float32) / 127.5 - 1})
    assert_allclose(z_hat, golden.z_hat, rtol=1e-4, atol=1e-5)
    assert_allclose(terms, golden.terms, rtol=1e-3, atol=1e-4)
    assert x_hat.shape == pixels.shape
    assert maps.shape[1] == len(bundle.contents.map_scale.layers)


def test_a_forked_process_has_threads_of_its_own(bigan_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its parent are not there, and it would wait for them for ever."""
    detector, images = with_threads(bigan_dir, 2), list(normals()[:8])
    run_batch, both = onnx_engine._run_batch, threading.Barrier(2)

    def run_beside_another(*arguments: Any) -> list[NDArray[np.float32]]:
        both.wait(20)
        return run_batch(*arguments)

    monkeypatch.setattr(onnx_engine, "_run_batch", run_beside_another)
    expected = detector.score(images).score

    def score(answers: "multiprocessing.SimpleQueue[list[float]]") -> None:
        answers.put(detector.score(images).score.tolist())

    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=score, args=(answers,))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of forking beside threads
        child.start()
    child.join(30)
    is_alive = child.is_alive()
    child.kill()
    assert not is_alive
    assert answers.get() == expected.tolist()


def copies_of(thing: Thing) -> list[Thing]:
    return [copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))]  # noqa: S301  # made here


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
@pytest.mark.parametrize("model", ["bigan_dir", "whole_places_dir", "aligned_dir"])
def test_a_detector_and_its_scores_may_be_copied_and_handed_to_another_process(
    model: str, engine: str, request: pytest.FixtureRequest
) -> None:
    detector = load_detector(request.getfixturevalue(model), device="cpu", engine=engine)
    images = [np.kron(image, np.ones((8, 8), np.uint8)) for image in normals()[:5]]
    expected = detector.score(images)
    for other in copies_of(detector):
        assert other.engine is not detector.engine
        assert_array_equal(other.score(images).score, expected.score)
    for scores in copies_of(expected):
        assert_array_equal(scores.score, expected.score)
        assert_array_equal(scores.heatmap, expected.heatmap)


def test_threads_end_with_their_detector(bigan_dir: Path) -> None:
    """A server replaces bundles for years."""
    before = set(threading.enumerate())
    detector = with_threads(bigan_dir, 3)
    detector.score(list(normals()[:9]))
    threads = set(threading.enumerate()) - before
    assert threads
    del detector
    gc.collect()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


def test_while_another_thread_imports_torch_arrays_are_scored(bigan_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is being imported is there already, and has no names yet."""
    detector = load_detector(bigan_dir, device="cpu")
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    assert np.isfinite(detector.score(normals()[:3][:, None]).score).all()


def test_images_of_a_batch_are_an_array_or_a_tensor(bigan_dir: Path) -> None:
    detector = load_detector(bigan_dir, device="cpu")
    images = normals()[:5]
    expected = detector.score(list(images)).score
    assert_array_equal(detector.score(images[:, None]).score, expected)
    floats = images[:, None].astype(np.float64) / 127.5 - 1
    assert_array_equal(detector.score(floats).score, expected)
