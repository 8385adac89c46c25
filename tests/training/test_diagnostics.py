"""Each diagnosis made of a small run that goes wrong in that way, and none of the default recipes'."""

from pathlib import Path

import numpy as np
import pytest

from anomaly.bundle import load
from anomaly.config import Architecture, Loss, Method, NetworkPlan, TrainingConfig
from anomaly.training import Diagnostics, HistoryRow, fit
from tests.training.runs import CPU, Pixels, checkpoint, digits

ROOT = Path(__file__).parents[2]
GAME = TrainingConfig(method=Method.ANOGAN)


def ring(n: int = 256) -> Pixels:
    """Eight Gaussians on a ring in the plane, as images of 2 × 2 pixels whose two rows are both the point (x, y)."""
    rng = np.random.default_rng(0)
    angle = rng.integers(0, 8, n) * np.pi / 4
    points = 0.7 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + rng.normal(0, 0.03, (n, 2))
    row = np.clip(np.rint((points + 1) * 127.5), 0, 255).astype(np.uint8)
    return np.stack([row, row], axis=1)[:, None]


def found_in_ring(steps: int, **changes: object) -> tuple[list[str], str]:
    """The names of what is found in a run on the ring, and all its advice."""
    config = TrainingConfig.model_validate({"method": Method.ANOGAN, "steps": steps, "batch_size": 32} | changes)
    network = NetworkPlan(
        architecture=Architecture.MLP, size=2, latent_dim=2, hidden=(32, 32), dropout=0.0, joint=False, encoder=False
    )
    diagnostics = Diagnostics(config)
    fit(ring(), np.arange(256), network, config, device=CPU, on_rows=diagnostics.add)
    return [finding.name for finding in diagnostics.found], "; ".join(finding.advice for finding in diagnostics.found)


def rows(num: int, *, start: int = 1, **columns: float) -> list[HistoryRow]:
    return [{"step": step, **columns} for step in range(start, start + num)]


def names(diagnostics: Diagnostics) -> list[str]:
    return [finding.name for finding in diagnostics.found]


def test_a_discriminator_that_leaves_the_generator_behind_has_won() -> None:
    found, advice = found_in_ring(
        150, loss="minimax", d_steps=5, spectral_norm=False, optimizer="sgd", learning_rate=0.1
    )
    assert found == ["discriminator won"]
    assert all(
        option in advice
        for option in ("training.loss=non-saturating", "training.spectral_norm=true", "training.d_steps than 5")
    )


def test_a_generator_that_moves_five_times_against_one_discriminator_collapses() -> None:
    found, advice = found_in_ring(600, loss="minimax", g_steps=5, spectral_norm=False, learning_rate=1e-3)
    assert found == ["mode collapse"]
    assert all(
        option in advice for option in ("training.g_steps than 5", "training.batch_size", "training.learning_rate")
    )


def test_a_critic_with_a_wide_bound_and_a_high_rate_diverges() -> None:
    found, advice = found_in_ring(60, loss="wasserstein", clip_weights=10.0, learning_rate=0.05)
    assert found == ["divergence"]
    assert all(
        option in advice for option in ("loss_d", "training.learning_rate than 0.05", "training.clip_weights than 10")
    )


@pytest.mark.parametrize("method", [Method.BIGAN, Method.ANOGAN])
def test_the_default_recipes_are_not_warned_of(method: Method) -> None:
    config = TrainingConfig(method=method, steps=250)
    joint = method is Method.BIGAN
    diagnostics = Diagnostics(config)
    network = NetworkPlan(size=8, joint=joint, encoder=joint)
    trained = fit(digits(600), np.arange(600), network, config, device=CPU, on_rows=diagnostics.add)
    assert names(diagnostics) == []
    late = Diagnostics(config)  # once G has spread its samples, as if these were the steps where collapse is looked for
    late.add([row | {"step": row["step"] + 500} for row in trained.history[150:]])
    assert names(late) == []


@pytest.mark.parametrize("bundle", ["mnist/2", "mnist-anogan/2"])
def test_shipped_histories_are_read_and_not_warned_of(bundle: str) -> None:
    contents = load(ROOT / "models" / bundle).contents
    diagnostics = Diagnostics(contents.manifest.recipe.training)
    diagnostics.add(contents.history)
    assert names(diagnostics) == []


@pytest.mark.parametrize(
    ("d_real", "d_fake", "num", "loss", "expected"),
    [
        (0.96, 0.04, 100, Loss.NON_SATURATING, ["discriminator won"]),
        (0.96, 0.04, 99, Loss.NON_SATURATING, []),
        (0.94, 0.04, 100, Loss.NON_SATURATING, []),
        (0.96, 0.06, 100, Loss.NON_SATURATING, []),
        (0.96, 0.04, 100, Loss.HINGE, []),
    ],
)
def test_won_is_both_probabilities_at_their_ends_over_the_window(
    d_real: float, d_fake: float, num: int, loss: Loss, expected: list[str]
) -> None:
    diagnostics = Diagnostics(TrainingConfig(method=Method.ANOGAN, loss=loss))
    diagnostics.add(rows(num, d_real=d_real, d_fake=d_fake))
    assert names(diagnostics) == expected


@pytest.mark.parametrize(
    ("diversity", "num", "expected"), [(0.2, 600, ["mode collapse"]), (0.2, 590, []), (0.4, 600, [])]
)
def test_collapse_is_low_diversity_after_the_warm_up(diversity: float, num: int, expected: list[str]) -> None:
    diagnostics = Diagnostics(GAME)
    diagnostics.add(rows(num, diversity=diversity))
    assert names(diagnostics) == expected


@pytest.mark.parametrize("column", ["loss_d", "loss_g", "grad_d", "grad_g", "izi_f"])
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(2.0, 201.0, ["divergence"]), (-2.0, -201.0, ["divergence"]), (2.0, 199.0, []), (0.01, 99.0, [])],
)
def test_divergence_is_growth_of_a_hundred_times(column: str, before: float, after: float, expected: list[str]) -> None:
    diagnostics = Diagnostics(GAME)
    diagnostics.add([{"step": step, column: before if step <= 10 else after} for step in range(1, 21)])
    assert names(diagnostics) == expected


def test_one_wild_batch_is_no_divergence() -> None:
    diagnostics = Diagnostics(GAME)
    diagnostics.add([*rows(15, loss_d=1.0), *rows(1, start=16, loss_d=1e9), *rows(14, start=17, loss_d=1.0)])
    assert names(diagnostics) == []


def test_an_encoder_after_the_game_is_compared_with_its_own_first_steps() -> None:
    diagnostics = Diagnostics(GAME)
    diagnostics.add([*rows(50, loss_d=1.0, grad_g=1.0), *rows(50, start=51, izi_f=1.0, grad_g=500.0)])
    assert names(diagnostics) == []


def test_a_column_that_only_some_rows_have_breaks_no_window() -> None:
    diagnostics = Diagnostics(GAME)
    curves = rows(200, loss_d=1.0, d_real=1.0, d_fake=0.0)
    diagnostics.add([row | ({"criterion": 1.0} if row["step"] % 50 == 0 else {}) for row in curves])
    assert names(diagnostics) == ["discriminator won"]


def test_each_is_named_once() -> None:
    diagnostics = Diagnostics(GAME)
    new = [finding.name for row in rows(400, d_real=1.0, d_fake=0.0) for finding in diagnostics.add([row])]
    assert new == ["discriminator won"]
    (finding,) = diagnostics.found
    assert finding.step == 100
    assert str(finding).startswith("discriminator won at step 100: over 100 steps D(x) is 1.000 and D(G(z)) 0.000")


def test_a_resumed_run_hands_over_all_its_rows_once(tmp_path: Path) -> None:
    network = NetworkPlan(size=8, latent_dim=2, width=4, joint=False, encoder=False)
    seen: list[HistoryRow] = []
    for steps, resume in ((25, False), (40, True)):
        seen.clear()
        trained = fit(
            digits(64),
            np.arange(64),
            network,
            TrainingConfig(method=Method.ANOGAN, steps=steps, batch_size=16),
            device=CPU,
            checkpoint=checkpoint(tmp_path, resume=resume),
            on_rows=seen.extend,
        )
    assert seen == trained.history
    assert [row["step"] for row in seen] == list(range(1, 41))
