import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from anomaly.config import Method, NetworkPlan
from anomaly.errors import CheckpointError, DivergedError
from anomaly.networks import Generator
from anomaly.runtime import to_float
from anomaly.training import HistoryRow, fit, loop
from anomaly.training.loop import _batches
from anomaly.training.state import TrainingState
from tests.training.runs import (
    CPU,
    assert_same_weights,
    checkpoint,
    digits,
    first_weight,
    network,
    run,
    the_first_of_two_is_best,
    training,
)

each_method = pytest.mark.parametrize("method", list(Method))


class KilledError(Exception):
    """What a power cut is in these tests."""


@each_method
@pytest.mark.parametrize(
    ("n", "batch_size", "killed_at"),
    [
        (64, 16, 20),  # in the middle of a shuffle
        (32, 16, 30),  # between two shuffles
        (37, 16, 10),  # a batch that straddles two shuffles
        (5, 16, 20),  # fewer images than a batch
    ],
)
def test_a_run_that_is_killed_and_resumed_ends_as_one_that_is_not(
    method: Method, n: int, batch_size: int, killed_at: int, tmp_path: Path
) -> None:
    config = training(method, 40, batch_size=batch_size)

    def kill(step: int, row: HistoryRow) -> bool:
        if step >= killed_at + 10:
            raise KilledError
        return False

    with pytest.raises(KilledError):
        fit(
            digits(n),
            np.arange(n),
            network(method),
            config,
            device=CPU,
            checkpoint=checkpoint(tmp_path),
            should_stop=kill,
        )
    steps: list[int] = []

    def watch(step: int, row: HistoryRow) -> bool:
        steps.append(step)
        return False

    resumed = fit(
        digits(n),
        np.arange(n),
        network(method),
        config,
        device=CPU,
        checkpoint=checkpoint(tmp_path, resume=True),
        should_stop=watch,
    )
    assert [step for step in steps if step % 10 == 0] == list(range(killed_at + 10, 41, 10))  # nothing is done twice
    whole = run(config, n)
    assert_same_weights(resumed.networks, whole.networks)
    assert resumed.history == whole.history
    assert resumed.num_steps == whole.num_steps == 40


def test_a_finished_run_can_be_given_more_steps(tmp_path: Path) -> None:
    run(training(Method.BIGAN, 25), checkpoint=checkpoint(tmp_path))
    longer = run(training(Method.BIGAN, 40), checkpoint=checkpoint(tmp_path, resume=True))
    assert_same_weights(longer.networks, run(training(Method.BIGAN, 40)).networks)


@each_method
def test_the_same_seed_gives_the_same_weights_and_another_does_not(method: Method) -> None:
    first = run(training(method, 10))
    torch.manual_seed(99)  # what others draw does not matter
    assert_same_weights(first.networks, run(training(method, 10)).networks)
    other = run(training(method, 10, seed=1))
    assert not torch.equal(first_weight(first.networks), first_weight(other.networks))


def test_a_run_cannot_go_back(tmp_path: Path) -> None:
    run(training(Method.BIGAN, 20), checkpoint=checkpoint(tmp_path))
    with pytest.raises(CheckpointError, match="is at step 20, beyond the 10 asked for; give at least as many steps"):
        run(training(Method.BIGAN, 10), checkpoint=checkpoint(tmp_path, resume=True))


def test_keeping_checkpoints_does_not_change_the_result(tmp_path: Path) -> None:
    config = training(Method.BIGAN, 20)
    assert_same_weights(run(config).networks, run(config, checkpoint=checkpoint(tmp_path)).networks)


GOLDEN = {
    Method.BIGAN: {
        "loss_d": [1.28841, 1.06175],
        "loss_g": [1.52191, 1.91649],
        "d_real": [0.54885, 0.6692],
        "d_fake": [0.49677, 0.48091],
        "cycle_x": [0.7868, 0.78549],
        "cycle_z": [1.02548, 1.00135],
    },
    Method.ANOGAN: {
        "loss_d": [1.46053, 1.29462],
        "loss_g": [0.69102, 0.68507],
        "d_real": [0.46873, 0.55557],
        "d_fake": [0.50106, 0.50417],
        "cycle_z": [1.02483, 0.99994],
    },
}


GAMES = {"value", "accuracy", "diversity", "grad_d", "grad_g"}


@pytest.mark.parametrize("method", list(GOLDEN))
def test_the_curves_of_a_short_run_stay_what_they_were(method: Method) -> None:
    """A change that is meant to keep the training keeps these; rounding on another machine may differ a little."""
    history = run(training(method, 20)).history
    assert [row["step"] for row in history] == list(range(1, 21))
    for name, values in GOLDEN[method].items():
        means = [np.mean([row[name] for row in rows]) for rows in (history[:10], history[10:])]
        assert means == pytest.approx(values, rel=2e-3), name
    assert set(history[0]) == {"step", *GOLDEN[method], *GAMES}


def test_should_stop_is_told_means_every_ten_steps_and_stops() -> None:
    told: list[tuple[int, HistoryRow]] = []

    def stop_at_30(step: int, row: HistoryRow) -> bool:
        told.append((step, row))
        return step == 30

    pixels = digits(64)
    trained = fit(
        pixels, np.arange(64), network(Method.BIGAN), training(Method.BIGAN, 1000), device=CPU, should_stop=stop_at_30
    )
    assert [step for step, _ in told] == [10, 20, 30]
    assert [row["step"] for row in trained.history] == list(range(1, 31))
    for (_, row), start in zip(told, (0, 10, 20), strict=True):
        assert row["loss_d"] == pytest.approx(np.mean([r["loss_d"] for r in trained.history[start : start + 10]]))
    assert trained.last == told[-1][1]
    assert trained.num_steps == 30
    assert not trained.networks.training
    x_hat = trained.networks.G(trained.networks.encode(to_float(torch.from_numpy(pixels))))
    assert x_hat.isfinite().all()


def test_the_last_steps_are_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def step_number(state: TrainingState, *_: object) -> dict[str, torch.Tensor]:
        return {"loss_d": torch.tensor(float(state.step))}

    told: list[HistoryRow] = []
    monkeypatch.setattr(loop, "_step", step_number)
    fit(
        digits(20),
        np.arange(20),
        network(Method.BIGAN),
        training(Method.BIGAN, 14),
        device=CPU,
        should_stop=lambda step, row: bool(told.append(row)),  # type: ignore[func-returns-value]
    )
    assert told == [{"step": 10, "loss_d": 4.5}, {"step": 14, "loss_d": 11.5}]


def test_a_game_cut_short_leaves_its_encoder_half_as_many_steps() -> None:
    """f-AnoGAN: of 300 steps the game has 200; stopped at 20, the encoder has the 10 after it."""
    trained = fit(
        digits(64),
        np.arange(64),
        network(Method.F_ANOGAN),
        training(Method.F_ANOGAN, 300),
        device=CPU,
        should_stop=lambda step, row: step == 20,
    )
    assert trained.num_steps == 30
    assert ["izi_f" in row for row in trained.history] == [False] * 20 + [True] * 10


def test_f_anogans_game_has_two_thirds_of_the_steps() -> None:
    history = run(training(Method.F_ANOGAN, 30)).history
    assert ["izi_f" in row for row in history] == [False] * 20 + [True] * 10


def test_g_begins_as_the_decoder_it_is_given() -> None:
    decoder = run(training(Method.AUTOENCODER, 1)).networks.G.state_dict()
    trained = fit(
        digits(64),
        np.arange(64),
        network(Method.BIGAN),
        training(Method.BIGAN, 1, learning_rate=1e-12),
        device=CPU,
        decoder=decoder,
    )
    weights = trained.networks.G.state_dict()
    for name in (name for name in decoder if "weight" in name):
        torch.testing.assert_close(weights[name], decoder[name])


@pytest.mark.parametrize("n", [1, 5, 16, 37, 64])
def test_batches_are_full_and_show_every_image_equally_often(n: int) -> None:
    config = training(Method.BIGAN)
    stream = _batches(n, config, start=0)
    batches = [next(stream) for _ in range(n)]  # 16 shuffles
    assert all(len(batch) == 16 for batch in batches)
    assert np.bincount(np.concatenate(batches), minlength=n).tolist() == [16] * n
    assert n <= 16 or any(not np.array_equal(batches[0], batch) for batch in batches[1:])


@pytest.mark.parametrize("start", [0, 1, 2, 3, 7])
def test_batches_from_a_step_are_those_of_the_whole_run(start: int) -> None:
    config = training(Method.BIGAN)
    whole, later = _batches(37, config, start=0), _batches(37, config, start=start)
    for _ in range(start):
        next(whole)
    for _ in range(6):
        np.testing.assert_array_equal(next(later), next(whole))


def test_only_the_rows_given_are_trained_on(tmp_path: Path) -> None:
    pixels, rows = digits(64), np.arange(0, 64, 2)
    others = pixels.copy()
    others[1::2] = 255
    config = training(Method.BIGAN, 10)
    file = np.memmap(tmp_path / "pixels.u8", np.uint8, "w+", shape=pixels.shape)  # may be memory-mapped
    file[:] = pixels
    a, b, c = (fit(p, rows, network(Method.BIGAN), config, device=CPU).networks for p in (pixels, others, file))
    assert_same_weights(a, b)
    assert_same_weights(a, c)


@each_method
def test_a_run_that_diverges_says_which_losses_and_when(method: Method) -> None:
    with pytest.raises(DivergedError) as caught:
        run(training(method, 40, learning_rate=1e30, spectral_norm=method is Method.F_ANOGAN))
    assert re.match(r"training diverged: [a-z_]+.* not finite in step [1-4]\.", str(caught.value))
    assert "training.learning_rate" in str(caught.value)


def test_images_that_are_not_finite_diverge(monkeypatch: pytest.MonkeyPatch) -> None:
    """8-bit pixels cannot be so; a broken device's can."""

    def spoil(pixels: torch.Tensor) -> torch.Tensor:
        x = to_float(pixels)
        x[0, 0, 0, 0] = math.nan
        return x

    monkeypatch.setattr(loop, "to_float", spoil)
    with pytest.raises(DivergedError, match=r"loss_d, value, .* not finite in step 1\."):
        run(training(Method.ANOGAN))


def test_weights_broken_by_the_very_last_step_are_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(state: TrainingState, *_: object) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            first_weight(state.networks)[0, 0] = math.inf
        return {"loss_d": torch.tensor(1.0)}

    monkeypatch.setattr(loop, "_step", overflow)
    with pytest.raises(DivergedError, match=r"G\.project\.0\.weight not finite in step 1\."):
        run(training(Method.BIGAN, 1))


LEARNING = NetworkPlan(size=8, latent_dim=4, width=8, max_width=16)


def reconstruction_error() -> float:
    """The mean |x − G(E(x))| of the last steps of a short BiGAN run."""
    config = training(Method.BIGAN, 200, learning_rate=4e-3)
    return fit(digits(64), np.arange(64), LEARNING, config, device=CPU).last["cycle_x"]


def error_of_the_best_constant() -> float:
    """What is left by the one image that is closest to all: all that a G can do that does not hear of x."""
    x = digits(64) / 127.5 - 1
    return float(np.abs(x - np.median(x, axis=0)).mean())


def test_bigan_learns_to_reconstruct() -> None:
    assert reconstruction_error() < 0.8 * error_of_the_best_constant()


def test_and_would_not_with_a_generator_that_cannot_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    initialise = Generator.__init__

    def frozen(self: Generator, config: NetworkPlan) -> None:
        initialise(self, config)
        self.requires_grad_(False)

    monkeypatch.setattr(Generator, "__init__", frozen)
    assert reconstruction_error() > 1.2 * error_of_the_best_constant()


@pytest.mark.parametrize("method", [Method.BIGAN, Method.ANOGAN, Method.F_ANOGAN, Method.AUTOENCODER])
def test_the_criterion_on_other_normals_is_in_every_100th_row_and_may_choose_what_is_kept(method: Method) -> None:
    """Learning at a rate that soon does harm: what was best is not what was last."""
    kept = {}
    for keep in ("last", "best"):
        config = training(method, 300, keep=keep, learning_rate=0.02)
        kept[keep] = fit(digits(96), np.arange(64), network(method), config, device=CPU, select=np.arange(64, 96))
    rows = {row["step"]: row["criterion"] for row in kept["best"].history if "criterion" in row}
    assert list(rows) == ([300] if method is Method.F_ANOGAN else [100, 200, 300])
    assert kept["last"].history == kept["best"].history
    assert kept["last"].kept_step == 300
    assert kept["best"].kept_step == min(rows, key=lambda step: rows[step])


def test_the_best_survives_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best is from before the kill."""
    the_first_of_two_is_best(monkeypatch)
    config = training(Method.BIGAN, 200, keep="best")
    data = (digits(96), np.arange(64), network(Method.BIGAN))
    whole = fit(*data, config, device=CPU, select=np.arange(64, 96))

    def kill(step: int, row: HistoryRow) -> bool:
        if step == 150:
            raise KilledError
        return False

    with pytest.raises(KilledError):
        fit(
            *data,
            config,
            device=CPU,
            select=np.arange(64, 96),
            checkpoint=checkpoint(tmp_path),
            should_stop=kill,
        )
    resumed = fit(*data, config, device=CPU, select=np.arange(64, 96), checkpoint=checkpoint(tmp_path, resume=True))
    assert resumed.kept_step == whole.kept_step == 100
    assert resumed.history == whole.history
    assert_same_weights(resumed.networks, whole.networks)
