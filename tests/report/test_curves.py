import io
import math

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from anomaly.report import curves
from anomaly.report.curves import History, curves_png, moving_mean, panels
from anomaly.report.plots import LIGHT

GAME = ("value", "d_real", "d_fake", "accuracy", "diversity", "loss_d", "loss_g", "grad_d", "grad_g")


def history(*columns: str, num: int = 30, first: int = 1) -> list[dict[str, float]]:
    return [
        {"step": float(step)} | {name: 1 / (step + place) for place, name in enumerate(columns, start=1)}
        for step in range(first, first + num)
    ]


HISTORIES: dict[str, list[dict[str, float]]] = {
    "anogan": history(*GAME),
    "bigan, long": history(*GAME, "cycle_x", "cycle_z", num=400),
    "f-anogan": [*history(*GAME), *history("izi_f", "grad_g", first=31)],
    "autoencoder": history("cycle_x", "grad_g"),
    "synthetic defects": history(*GAME, "loss_synthetic_defects", "grad_synthetic_defects", "criterion"),
    "rotation": history(*GAME, "loss_rotation", "grad_rotation"),
    "older": history("loss_d", "loss_g", "d_real", "d_fake"),
    "a step": history(*GAME, num=1),
    "unknown column": history("novelty"),
    "negative where others are positive": [{"step": 1, "grad_d": -1, "grad_g": 0}],
}


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Axes]:
    """The panels of the next figure, by their titles."""
    found: dict[str, Axes] = {}
    draw = curves._draw_panel

    def remember(axes: Axes, panel: curves.Panel, *others: object) -> None:
        found[panel.title] = axes
        draw(axes, panel, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(curves, "_draw_panel", remember)
    return found


def dashed(axes: Axes) -> list[float]:
    return [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]  # type: ignore[index, misc]


@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize("has_optimum", [True, False])
def test_each_column_is_drawn_once(name: str, has_optimum: bool) -> None:
    rows: History = HISTORIES[name]
    drawn = panels(rows, has_optimum=has_optimum)
    columns = [column for panel in drawn for column in panel.columns]
    assert sorted(columns) == sorted({column for row in rows for column in row} - {"step"})
    png = np.asarray(Image.open(io.BytesIO(curves_png(rows, has_optimum=has_optimum))).convert("RGB"))
    assert min(png.shape[:2]) > 300
    blue = [int(LIGHT.normal[i : i + 2], 16) for i in (1, 3, 5)]
    assert (np.abs(png.astype(int) - blue).max(axis=2) <= 2).sum() > 30 * len(drawn)


def test_the_optimum_of_a_minimax_game_is_dashed(axes: dict[str, Axes]) -> None:
    curves_png(HISTORIES["anogan"], has_optimum=True)
    assert dashed(axes["Value V(D, G)"]) == [-math.log(4)]
    assert dashed(axes["D(x), D(G(z))"]) == [0.5]
    assert dashed(axes["Accuracy of D"]) == [0.5]
    low, high = axes["Value V(D, G)"].get_ylim()
    assert low < -math.log(4) < high


def test_a_critic_has_none(axes: dict[str, Axes]) -> None:
    curves_png(HISTORIES["f-anogan"], has_optimum=False)
    assert [title for title, panel in axes.items() if dashed(panel)] == ["Diversity of samples"]


def test_columns_keep_their_steps(axes: dict[str, Axes]) -> None:
    curves_png(HISTORIES["f-anogan"], has_optimum=False)
    (line,) = axes["The encoder's loss"].lines
    np.testing.assert_array_equal(line.get_xdata(), np.arange(31, 61))
    assert {panel.get_xlim() for panel in axes.values()} == {(0, 60)}


def test_a_curve_that_is_alone_is_named_where_the_title_does_not_name_it(axes: dict[str, Axes]) -> None:
    curves_png(history("cycle_x", "grad_g", "accuracy"), has_optimum=True)  # as of an autoencoder
    legends = {title: panel.get_legend() for title, panel in axes.items()}
    told = {title: [text.get_text() for text in legend.texts] for title, legend in legends.items() if legend}
    assert told == {"Cycles": ["|x - G(E(x))|"], "Gradient norms": ["G"]}


@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize("has_optimum", [True, False])
def test_a_legend_lies_over_no_line_and_no_title(name: str, has_optimum: bool, axes: dict[str, Axes]) -> None:
    curves_png(HISTORIES[name], has_optimum=has_optimum)
    for panel in axes.values():
        if legend := panel.get_legend():
            box, title = legend.get_window_extent(), panel._left_title.get_window_extent()  # type: ignore[attr-defined]
            assert box.y0 >= panel.bbox.y1
            assert box.x0 > title.x1
            assert box.x1 <= panel.bbox.x1 + 1


@pytest.mark.parametrize("name", ["synthetic defects", "rotation"])
def test_loss_and_gradient_of_an_auxiliary_discriminator_share_a_panel(name: str) -> None:
    (panel,) = (p for p in panels(HISTORIES[name], has_optimum=True) if p.title == f"Auxiliary: {name}")
    column = name.replace(" ", "_")
    assert dict(panel.columns) == {f"loss_{column}": "loss", f"grad_{column}": "gradient"}


def test_many_rows_are_smoothed_and_stay_behind(axes: dict[str, Axes]) -> None:
    curves_png(HISTORIES["bigan, long"], has_optimum=True)
    raw, mean, _ = axes["Value V(D, G)"].lines
    values = np.array([row["value"] for row in HISTORIES["bigan, long"]])
    np.testing.assert_array_equal(raw.get_ydata(), values)
    np.testing.assert_allclose(np.asarray(mean.get_ydata(), np.float64), moving_mean(values, 8))
    assert (raw.get_alpha() or 1) < 0.5


def test_moving_mean() -> None:
    values = np.array([1.0, 2.0, 6.0, 4.0])
    np.testing.assert_allclose(moving_mean(values, 3), [1.5, 3.0, 4.0, 5.0])
    np.testing.assert_allclose(moving_mean(values, 1), values)
    assert moving_mean(values[:1], 9).tolist() == [1.0]
    np.testing.assert_allclose(moving_mean(np.full(50, 3.0), 8), 3.0)


def test_nothing_is_left_behind() -> None:
    import matplotlib.pyplot as plt

    curves_png(HISTORIES["anogan"], has_optimum=True)
    assert plt.get_fignums() == []
