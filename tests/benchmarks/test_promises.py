"""The figures of the pages are those that the simulations give."""

from pathlib import Path

import pytest

from benchmarks import promises
from benchmarks.promises import calls, one_model, parts, selected, sides

GUARANTEES = (Path(__file__).parents[2] / "docs" / "guarantees.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("num_calibration", [19, 39, 99, 199, 592, 2000, 10_000])
def test_the_page_has_the_range_of_one_model(num_calibration: int) -> None:
    cells = " | ".join(one_model(alpha, num_calibration) for alpha in promises.ALPHAS)
    assert f"| {num_calibration:,} | {cells} |\n" in GUARANTEES


def test_a_part_is_flagged_more_often_than_a_picture() -> None:
    one, any_of = parts(6, 0.5, 60)
    assert one == pytest.approx(0.05, abs=0.01)
    assert any_of == pytest.approx(0.18, abs=0.03)


def test_the_share_of_false_ones_is_held_on_average_and_not_in_each_call() -> None:
    mean, more = calls(0.05, 400)
    assert mean < 0.055
    assert 0.2 < more < 0.45


def test_images_that_are_left_out_make_more_or_fewer_false_alarms() -> None:
    assert selected("all", 60) == pytest.approx((0.05, 0.0), abs=0.02)
    for name, rate in (("those that passed", 0.096), ("all flagged, a tenth of the others", 0.007)):
        assert selected(name, 60) == pytest.approx((rate, 1.0), abs=0.02)


def test_sides_in_one_order_set_off_the_alarm_and_in_random_order_they_do_not() -> None:
    assert sides(1.0, 5, is_random=False) == 5
    assert sides(1.0, 5, is_random=True) == 0


def test_it_prints_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(promises, "NUM_PARTS", 3)
    promises.main(["--draws", "2"])
    printed = capsys.readouterr().out
    assert printed.count("\n|---|") == 5
    assert "| 1 | 0 of 1 | 0 |" in printed
