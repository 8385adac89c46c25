"""Progress: bars on a terminal, a line a minute in a log."""

import re
import time
from io import StringIO

import pytest
from rich.console import Console

from anomaly.cli.progress import CountingBar, TrainingBar
from anomaly.config import Recipe
from anomaly.recipes import Resolved

CURVES = {"step": 10, "loss_d": 1.25, "loss_g": 0.5, "d_real": 0.7, "d_fake": 0.3, "cycle_x": 0.125, "cycle_z": 9.0}


def a_console(*, terminal: bool, width: int = 200) -> tuple[Console, StringIO]:
    stream = StringIO()
    return Console(file=stream, force_terminal=terminal, width=width, color_system=None), stream


def a_recipe(steps: int, reason: str = "", method: str = "bigan") -> Resolved:
    return Resolved(Recipe.model_validate({"training": {"steps": steps, "method": method}}), "digits", reason)


def drawn(stream: StringIO) -> list[str]:
    """Each line that was drawn, without the codes of a terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", stream.getvalue()).splitlines()


def assert_drawn(stream: StringIO, stage: str, count: str) -> None:
    """The last line of the stage has its name, its count if any and a time beside it, and no count of another."""
    last = [line for line in drawn(stream) if stage in line][-1]
    assert len(last) <= 80
    rest = last.partition(stage)[2]
    if count:
        assert re.match(rf" +{count} +((\d+:)?\d\d:\d\d|--:--) ", rest), last
    else:
        assert not re.search(r"[\d:.…]", rest), last


def test_images_are_counted_on_a_terminal() -> None:
    console, stream = a_console(terminal=True)
    with CountingBar(console, "Scoring") as bar:
        bar.start(3)
        bar.advance()
        bar.advance()
    assert "Scoring" in stream.getvalue()
    assert "2/3" in stream.getvalue()


def test_training_shows_its_curves_on_a_terminal() -> None:
    console, stream = a_console(terminal=True)
    with TrainingBar(console, 2.5) as bar:
        bar.recipe(a_recipe(40))
        bar.start(7)
        bar.advance()
        bar.step(10, CURVES)
    shown = stream.getvalue()
    assert "Training, at most 2.5 min" in shown
    assert "10/40" in shown
    assert "D 1.250  G 0.500  |x-GE| 0.125  D(x) 0.700  D(G(z)) 0.300" in shown


def test_calibration_follows_training() -> None:
    console, stream = a_console(terminal=True)
    with TrainingBar(console, None) as bar:
        bar.recipe(a_recipe(10))
        bar.step(10, CURVES)
        bar.calibrating()
    last_bar = stream.getvalue().rpartition("Calibrating")[2]
    assert "10/10" not in last_bar  # which are steps
    assert "Training" not in last_bar
    assert "D 1.250" not in last_bar


def test_what_takes_a_minute_after_calibration_is_said() -> None:
    console, stream = a_console(terminal=True)
    with TrainingBar(console, None) as bar:
        bar.recipe(a_recipe(10))
        bar.calibrating()
        bar.measuring()
    assert "Measuring how small a defect is found, about 1 min at most" in stream.getvalue()


STEPS = 20_000  # more than any recipe has


@pytest.mark.parametrize("method", ["bigan", "features"])
def test_each_stage_is_whole_at_80_columns(method: str) -> None:
    console, stream = a_console(terminal=True, width=80)
    with TrainingBar(console, 120) as bar:
        bar.recipe(a_recipe(STEPS, method=method))
        bar.start(STEPS)  # as many images as steps
        for _ in range(STEPS):
            bar.advance()
        bar._progress.refresh()
        assert_drawn(stream, "Reading", "20000/20000")
        networks = []
        if method == "features":
            bar.progress("Preparing the pretrained network", 0, None)
            assert_drawn(stream, "Preparing the pretrained network", "")
            networks = [
                *(f"discriminator, sigma {sigma}" for sigma in (0.5, 1, 2)),
                "restorer",
                "restorer at half size",
            ]
            for stage in ("Computing maps", *(f"Training {network}" for network in networks)):
                bar.progress(stage, 0, STEPS)
                assert_drawn(stream, stage, "    0/20000")
                if stage == "Computing maps":
                    bar.progress(stage, 19_999, STEPS)
                else:
                    bar.step(19_999, {"loss_g_half": 0.25})
                bar._progress.refresh()
                assert_drawn(stream, stage, "19999/20000")
            bar.progress("Choosing what is kept", 0, None)
            assert_drawn(stream, "Choosing what is kept", "")
            bar.progress("Measuring normals", 7, 30)
            bar._progress.refresh()
            assert_drawn(stream, "Measuring normals", " 7/30")
        else:
            bar.step(10, CURVES)
            bar._progress.refresh()
            assert_drawn(stream, "Training, at most 120 min", "   10/20000")
        bar.calibrating()
        assert_drawn(stream, "Calibrating", "")
        bar.measuring()
    assert_drawn(stream, "Measuring how small a defect is found, about 1 min at most", "")


def test_a_time_limit_of_several_networks_is_said_once_of_all() -> None:
    console, stream = a_console(terminal=True)
    with TrainingBar(console, 2.5) as bar:
        bar.recipe(a_recipe(40, method="features"))
        bar.progress("Training restorer", 0, 40)
    assert "pixels, 40 steps for each network, at most 2.5 min for all steps\n" in stream.getvalue().replace("\r", "")
    assert stream.getvalue().count("2.5 min") == 1


def test_stages_have_a_line_a_minute_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("anomaly.cli.progress.time.monotonic", lambda: now[0])
    console, stream = a_console(terminal=False)
    with TrainingBar(console, None) as bar:
        bar.recipe(a_recipe(40, method="features"))
        bar.progress("Preparing", 0, None)
        for done, now[0] in ((1, 30.0), (2, 61.0), (3, 62.0), (4, 100.0)):
            bar.progress("Computing maps", done, 4)
        now[0] = 110.0
        bar.progress("Training restorer", 0, 40)
        for step, now[0] in ((10, 115.0), (20, 123.0), (30, 124.0)):
            bar.step(step, {"loss_g": 0.5})
        now[0] = 300.0
        bar.progress("Choosing", 0, None)
    assert stream.getvalue().splitlines()[1:] == [
        "Computing maps  2/4",
        "Training restorer  step 20/40  G 0.500",
        "Choosing",
    ]


def test_a_log_has_a_line_a_minute_and_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("anomaly.cli.progress.time.monotonic", lambda: now[0])
    console, stream = a_console(terminal=False)
    with CountingBar(console, "Scoring") as images:
        images.start(1)
        images.advance()
    with TrainingBar(console, None) as bar:
        bar.recipe(a_recipe(40))
        for step, now[0] in ((10, 30.0), (20, 61.0), (30, 100.0), (40, 130.0)):
            bar.step(step, CURVES)
        bar.calibrating()
    steps = [line.split("  ")[0] for line in stream.getvalue().splitlines()]
    assert steps == ["recipe digits; training at 32 × 32 pixels, 40 steps", "step 20/40", "step 40/40"]


@pytest.mark.parametrize("max_minutes", [None, 1, 7.5, 120])
@pytest.mark.parametrize("step", [10, 5990])
def test_count_and_remaining_time_are_whole_at_80_columns_before_any_loss(max_minutes: float, step: int) -> None:
    console, stream = a_console(terminal=True, width=80)
    with TrainingBar(console, max_minutes) as bar:
        bar.recipe(a_recipe(6000))
        for done in (0, step // 2, step):
            bar.step(done, CURVES)
            time.sleep(0.02)
    last = [line for line in drawn(stream) if "Training" in line][-1]
    assert len(last) <= 80
    before, count, after = last.partition(f"{step}/6000")
    assert count
    assert re.match(r" +(\d+:)?\d\d:\d\d ", after), last
    assert "D 1.2" not in before
    assert "D 1.2" in after
    assert "Training" in before
    if max_minutes is not None:
        assert f"at most {max_minutes:g} min" in before


def test_the_recipe_and_the_reason_are_a_line_in_a_log_too() -> None:
    console, stream = a_console(terminal=False)
    with TrainingBar(console, None) as bar:
        bar.recipe(a_recipe(40, "500 grey images of 30 × 20 pixels: few [of them]"))
    assert stream.getvalue() == (
        "recipe digits, chosen for 500 grey images of 30 × 20 pixels: few [of them]; training at 32 × 32 pixels, "
        "40 steps\n"
    )
