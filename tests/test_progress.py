"""Progress: bars on a terminal, a line a minute in a log."""

from io import StringIO

import pytest
from rich.console import Console

from anomaly.progress import ImageBar, TrainingBar

CURVES = {"step": 10, "loss_d": 1.25, "loss_g": 0.5, "d_real": 0.7, "d_fake": 0.3, "cycle_x": 0.125, "cycle_z": 9.0}


def a_console(*, terminal: bool) -> tuple[Console, StringIO]:
    stream = StringIO()
    return Console(file=stream, force_terminal=terminal, width=200, color_system=None), stream


def test_images_are_counted_on_a_terminal() -> None:
    console, stream = a_console(terminal=True)
    with ImageBar(console, "Scoring") as bar:
        bar.start(3)
        bar.advance()
        bar.advance()
    assert "Scoring" in stream.getvalue()
    assert "2/3" in stream.getvalue()


def test_training_shows_its_curves_on_a_terminal() -> None:
    console, stream = a_console(terminal=True)
    with TrainingBar(console, 40, 2.5) as bar:
        bar.reading(7)
        bar.image()
        bar.step(10, CURVES)
    shown = stream.getvalue()
    assert "Training, at most 2.5 min" in shown
    assert "10/40" in shown
    assert "D 1.250  G 0.500  |x-GE| 0.125  D(x) 0.700  D(G(z)) 0.300" in shown


def test_calibration_follows_training() -> None:
    console, stream = a_console(terminal=True)
    with TrainingBar(console, 10, None) as bar:
        bar.step(10, CURVES)
        bar.calibrating()
    last_bar = stream.getvalue().rpartition("Calibrating")[2]
    assert "10/10" in last_bar
    assert "Training" not in last_bar
    assert "D 1.250" not in last_bar


def test_a_log_has_a_line_a_minute_and_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("anomaly.progress.time.monotonic", lambda: now[0])
    console, stream = a_console(terminal=False)
    with ImageBar(console, "Scoring") as images:
        images.start(1)
        images.advance()
    with TrainingBar(console, 40, None) as bar:
        for step, now[0] in ((10, 30.0), (20, 61.0), (30, 100.0), (40, 130.0)):
            bar.step(step, CURVES)
        bar.calibrating()
    steps = [line.split("  ")[0] for line in stream.getvalue().splitlines()]
    assert steps == ["step 20/40", "step 40/40"]
