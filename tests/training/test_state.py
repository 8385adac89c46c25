import json
import os
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from anomaly.config import Method, TrainingConfig
from anomaly.errors import CheckpointError
from anomaly.training import Checkpoint, Trained
from anomaly.training import state as module
from anomaly.training.fit import fit
from anomaly.training.state import TrainingState, load_checkpoint, new_state, save_checkpoint
from tests.training.runs import CPU, assert_same_weights, checkpoint, digits, first_weight, network, run, training

BIGAN = training(Method.BIGAN)


def set_all(state: TrainingState, value: float) -> None:
    with torch.no_grad():
        for tensor in [*state.networks.parameters(), *state.networks.buffers()]:
            tensor.fill_(value)


def a_state() -> TrainingState:
    return new_state(network(Method.BIGAN), BIGAN, CPU)


@pytest.mark.parametrize(
    ("step", "encoder_from", "decay", "kept"),
    [
        (1, None, 0.999, 2 / 11),
        (90, None, 0.999, 0.91),
        (90, None, 0.5, 0.5),
        (10**6, None, 0.999, 0.999),
        (10**6, None, 0.0, 0.0),
        (90, 90, 0.999, 0.91),
        (91, 90, 0.999, 2 / 11),
        (180, 90, 0.999, 0.91),
    ],
)
def test_the_average_keeps_the_share_decay_and_less_in_the_early_steps_of_a_game_or_an_encoder(
    step: int, encoder_from: int | None, decay: float, kept: float
) -> None:
    state = a_state()
    state.encoder_from = encoder_from
    with torch.no_grad():
        for tensor in [*state.ema.parameters(), *state.ema.buffers()]:
            tensor.fill_(1)
    set_all(state, 3)
    state.step = step
    state.update_ema(decay)
    averaged = [*state.ema.named_parameters(), *((n, b) for n, b in state.ema.named_buffers() if "running_" in n)]
    assert len(averaged) == 19
    for name, average in averaged:
        torch.testing.assert_close(average, torch.full_like(average, kept * 1 + (1 - kept) * 3), msg=name)
    copied = [b for n, b in state.ema.named_buffers() if "running_" not in n]
    assert all((b == 3).all() for b in copied)  # counts and singular vectors have no mean
    assert all((p == 3).all() for p in state.networks.parameters())


def test_the_result_is_the_average_as_plain_frozen_weights() -> None:
    state = a_state()
    set_all(state, 3)
    result = state.result()
    assert not result.training
    assert not any(p.requires_grad for p in result.parameters())
    assert not [name for name in result.state_dict() if "parametrizations" in name]
    assert torch.equal(first_weight(result), first_weight(state.ema))
    assert [name for name in state.networks.state_dict() if "parametrizations" in name]  # training can go on


def test_initial_weights_come_from_the_seed_alone_and_leave_the_generator_of_others_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = a_state(), a_state()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    third = a_state()
    other = new_state(network(Method.BIGAN), training(Method.BIGAN, seed=1), CPU)
    assert_same_weights(first.networks, second.networks)
    assert_same_weights(first.networks, third.networks)
    assert not torch.equal(first_weight(first.networks), first_weight(other.networks))


def test_a_checkpoint_holds_the_whole_state(tmp_path: Path) -> None:
    trained = run(training(Method.BIGAN, 20), checkpoint=checkpoint(tmp_path))
    path, run_id = checkpoint(tmp_path).path, ""
    state = a_state()
    with pytest.raises(CheckpointError, match="belongs to another run"):
        load_checkpoint(state, path, run=run_id)
    save_checkpoint(a_state(), tmp_path / "other", run="x")
    load_checkpoint(state, tmp_path / "other", run="x")
    assert state.step == 0
    again = fit(
        digits(64),
        np.arange(64),
        network(Method.BIGAN),
        training(Method.BIGAN, 20),
        device=CPU,
        checkpoint=checkpoint(tmp_path, resume=True),
    )
    assert again.history == trained.history
    assert again.num_steps == 20
    assert_same_weights(again.networks, trained.networks)


def test_a_checkpoint_is_no_pickle_and_leaves_no_other_file(tmp_path: Path) -> None:
    run(training(Method.BIGAN, 10), checkpoint=checkpoint(tmp_path))
    path = checkpoint(tmp_path).path
    assert list(path.parent.iterdir()) == [path]
    header_size = int.from_bytes(path.read_bytes()[:8], "little")
    metadata = json.loads(path.read_bytes()[8 : 8 + header_size])["__metadata__"]
    assert json.loads(metadata["rest"])["step"] == 10


def test_curves_of_any_length_leave_the_head_of_a_checkpoint_as_it_is(tmp_path: Path) -> None:
    """safetensors refuses a head of more than 100 MB, and a training of 370,000 steps ended there."""
    heads = []
    for num in (10, 1000):
        path, state, again = tmp_path / str(num), a_state(), a_state()
        state.history = [{"step": step, "loss_d": 1 / step} for step in range(1, num + 1)]
        state.history[-1] |= {"criterion": 0.123456}
        save_checkpoint(state, path, run="x")
        heads.append(int.from_bytes(path.read_bytes()[:8], "little"))
        load_checkpoint(again, path, run="x")
        assert again.history == state.history
        assert [type(row["step"]) for row in again.history] == [int] * num
    assert heads[1] - heads[0] < 990  # less than a byte a row: offsets of tensors have more digits


def test_a_checkpoint_that_has_its_curves_in_the_head_goes_on(tmp_path: Path) -> None:
    """As those of before."""
    path, state = tmp_path / "checkpoint", a_state()
    save_checkpoint(state, path, run="x")
    tensors = load_file(path)
    del tensors["history"]
    rows = [{"step": 1, "loss_d": 0.5}, {"step": 2, "loss_d": 0.25, "criterion": 3.0}]
    rest = {"step": 2, "encoder_from": None, "history": rows}
    save_file(tensors, path, {"run": "x", "rest": json.dumps(rest)})
    load_checkpoint(state, path, run="x")
    assert (state.step, state.history) == (2, rows)


def test_an_interrupted_write_leaves_the_checkpoint_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = training(Method.BIGAN, 30)
    run(training(Method.BIGAN, 10), checkpoint=checkpoint(tmp_path))
    before = checkpoint(tmp_path).path.read_bytes()

    def tear(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> NoReturn:
        save_file(tensors, path, metadata)
        os.truncate(path, path.stat().st_size // 2)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_file", tear)
        with pytest.raises(KeyboardInterrupt):
            run(config, checkpoint=checkpoint(tmp_path, resume=True))
    assert checkpoint(tmp_path).path.read_bytes() == before
    resumed = run(config, checkpoint=checkpoint(tmp_path, resume=True))
    assert_same_weights(resumed.networks, run(config).networks)


def resume(folder: Path, config: TrainingConfig = BIGAN, data: str | None = None) -> Trained:
    wanted = checkpoint(folder, resume=True)
    return run(config, checkpoint=Checkpoint(wanted.path, data or wanted.data, resume=True))


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing to resume: there is no checkpoint at .*train without --resume"):
        resume(tmp_path)


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(keep: float, tmp_path: Path) -> None:
    run(training(Method.BIGAN, 10), checkpoint=checkpoint(tmp_path))
    path = checkpoint(tmp_path).path
    os.truncate(path, int(path.stat().st_size * keep))
    with pytest.raises(CheckpointError, match=r"cannot be read .*; train without --resume"):
        resume(tmp_path)


def test_garbage_in_place_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    path = checkpoint(tmp_path).path
    path.parent.mkdir()
    path.write_bytes(b"\x80\x04" + b"no checkpoint at all" * 50)
    with pytest.raises(CheckpointError, match="cannot be read"):
        resume(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(CheckpointError, match="cannot be read"):
        resume(tmp_path)


@pytest.mark.parametrize("prefix", ["networks", "ema"])
@pytest.mark.parametrize("is_missing", [True, False])
def test_a_checkpoint_of_other_networks_is_refused(prefix: str, is_missing: bool, tmp_path: Path) -> None:
    """Such as a version of anomaly writes that has other layers."""
    path = tmp_path / "checkpoint"
    save_checkpoint(a_state(), path, run="x")
    tensors = load_file(path)
    name = next(name for name in tensors if name.startswith(f"{prefix}/G."))
    moved = tensors.pop(name) if is_missing else tensors[name]
    tensors |= {} if is_missing else {f"{name}.later": moved.clone()}
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file(tensors, path, metadata)
    with pytest.raises(CheckpointError, match="or another version of anomaly began it"):
        load_checkpoint(a_state(), path, run="x")


def test_a_file_of_tensors_that_names_no_run_is_refused(tmp_path: Path) -> None:
    path = checkpoint(tmp_path).path
    path.parent.mkdir()
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="belongs to another run"):
        resume(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        training(Method.BIGAN, seed=1),
        training(Method.BIGAN, learning_rate=1e-3),
        training(Method.BIGAN, spectral_norm=False),
        training(Method.BIGAN, batch_size=8),
        training(Method.ANOGAN),
    ],
)
def test_a_checkpoint_of_other_options_is_refused(config: TrainingConfig, tmp_path: Path) -> None:
    run(training(Method.BIGAN, 10), checkpoint=checkpoint(tmp_path))
    with pytest.raises(CheckpointError, match="its images, options, seed or number of ranks differ"):
        resume(tmp_path, config)


def test_a_checkpoint_of_other_images_is_refused(tmp_path: Path) -> None:
    run(training(Method.BIGAN, 10), checkpoint=checkpoint(tmp_path))
    with pytest.raises(CheckpointError, match="its images, options, seed or number of ranks differ"):
        resume(tmp_path, data="another fingerprint")
