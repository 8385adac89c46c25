import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from anomaly.config import Precision
from anomaly.errors import DeviceError
from anomaly.runtime import autocast, is_fast_at_bf16, place, resolve_device, resolve_precision, seeded_rng, to_float

KEYS = st.lists(st.one_of(st.integers(), st.text(), st.binary()), max_size=3)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A machine with this many CUDA GPUs, and an Apple GPU or none."""
    num_cuda, mps = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: num_cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("machine", "name", "expected"),
    [
        ((0, False), "auto", "cpu"),
        ((0, True), "auto", "mps"),
        ((1, False), "auto", "cuda"),
        ((1, True), "auto", "cuda"),
        ((2, False), "cuda:1", "cuda:1"),
        ((1, True), "cpu", "cpu"),
        ((1, True), "mps", "mps"),
    ],
    indirect=["machine"],
)
def test_devices(name: str, expected: str) -> None:
    assert resolve_device(name) == torch.device(expected)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("machine", "name", "reason"),
    [
        ((0, True), "cuda", "torch finds no CUDA GPU here; use --device cpu or auto"),
        ((2, False), "cuda:2", "there are 2 CUDA GPUs here"),
        ((1, False), "mps", "torch finds no Apple GPU here; use --device cpu or auto"),
        ((1, False), "gpu", "unknown device 'gpu'; choose one of auto, cpu, cuda, mps, or cuda:N"),
        ((1, False), "", "unknown device ''; choose one of"),
        ((1, False), None, "unknown device None; choose one of"),
        ((1, False), "meta", "device 'meta' is not supported; choose one of"),
    ],
    indirect=["machine"],
)
def test_a_device_that_is_not_there_is_refused(name: Any, reason: str) -> None:
    with pytest.raises(DeviceError) as caught:
        resolve_device(name)
    assert reason in str(caught.value)


def test_pixels_become_floats_from_minus_one_to_one() -> None:
    pixels = torch.tensor([0, 51, 204, 255], dtype=torch.uint8).view(1, 1, 2, 2)
    assert to_float(pixels).flatten().tolist() == pytest.approx([-1.0, -0.6, 0.6, 1.0])
    assert pixels.flatten().tolist() == [0, 51, 204, 255]


def test_images_and_convolutions_lie_channels_last() -> None:
    x = to_float(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    assert x.shape == (2, 3, 8, 8)
    assert x.is_contiguous(memory_format=torch.channels_last)
    network = nn.Conv2d(3, 4, 3)
    place(network, torch.device("cpu"))
    assert network.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("precision", "dtype"), [(Precision.FP32, torch.float32), (Precision.BF16, torch.bfloat16)])
def test_a_precision_is_that_of_the_convolutions(precision: Precision, dtype: torch.dtype) -> None:
    with autocast(torch.device("cpu"), precision):
        assert nn.Conv2d(1, 1, 1)(torch.zeros(1, 1, 2, 2)).dtype == dtype


CAPABLE = {"_is_amx_tile_supported": False, "_is_avx512_bf16_supported": False}


@pytest.mark.parametrize("instructions", [None, *CAPABLE])
def test_auto_is_bf16_where_the_processor_has_instructions_for_it(
    instructions: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CAPABLE:
        monkeypatch.setattr(torch.cpu, name, lambda has=name == instructions: has)
    cpu, expected = torch.device("cpu"), Precision.BF16 if instructions else Precision.FP32
    assert is_fast_at_bf16(cpu) == (instructions is not None)
    assert resolve_precision("auto", cpu) is expected
    with autocast(cpu, "auto"):
        found = nn.Conv2d(1, 1, 1)(torch.zeros(1, 1, 2, 2)).dtype
    assert found == (torch.bfloat16 if instructions else torch.float32)


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_a_precision_that_is_named_is_taken_on_any_device(precision: Precision, device: str) -> None:
    assert resolve_precision(precision, torch.device(device)) is precision


@pytest.mark.parametrize("has_it", [False, True])
def test_a_gpu_must_have_bf16_itself_and_no_emulation_of_it(has_it: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: has_it or including_emulation)
    assert is_fast_at_bf16(torch.device("cuda")) == has_it
    assert not is_fast_at_bf16(torch.device("mps"))


def draws(*key: int | str | bytes) -> list[float]:
    drawn: list[float] = torch.randn(4, generator=seeded_rng(*key)).tolist()
    return drawn


@given(KEYS, KEYS)
def test_a_generator_depends_on_its_key_only(a: list[int | str | bytes], b: list[int | str | bytes]) -> None:
    first = draws(*a)
    other = draws(*b)
    torch.rand(3)
    assert draws(*a) == first
    assert (first == other) == (a == b)


def test_parts_of_a_key_do_not_run_together() -> None:
    keys: list[tuple[int | str | bytes, ...]] = [("ab",), ("a", "b"), (1, 2), (12,), ("1", 2), (1, "2"), (b"ab",), ()]
    assert len({tuple(draws(*key)) for key in keys}) == len(keys)


def test_a_generator_draws_the_same_on_every_machine() -> None:
    """A search's starts and a run's latents come from here: other draws would be other scores."""
    assert torch.randperm(6, generator=seeded_rng("epoch", 0, 0)).tolist() == [1, 2, 3, 0, 5, 4]


FORKS = """
import multiprocessing, sys
import torch
from anomaly.runtime import resolve_device

def compute():
    x = torch.rand(600, 600)
    return float((x @ x).exp().sum())

if __name__ == "__main__":
    torch.set_num_threads(2)
    resolve_device("cpu")
    compute()
    child = multiprocessing.get_context("fork").Process(target=compute)
    child.start()
    child.join(30)
    is_alive = child.is_alive()
    child.kill()
    sys.exit(is_alive)
"""


def test_a_forked_process_waits_for_no_threads_that_it_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "forks.py").write_text(FORKS)
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    subprocess.run([sys.executable, tmp_path / "forks.py"], check=True, env=environment)
