"""Training curves as one figure: a panel for each quantity that the history has, all over the same steps.

A game between D and G that minimax plays has a known end, p_g = p_data, where D says 1/2 of everything: its accuracy is
50 % and V(D, G) = -log 4 (Goodfellow 2014, Theorem 1). Dashed lines show it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from anomaly.config import AuxiliaryConfig
from anomaly.report.plots import LIGHT, draw_panels_png, put_legend

PANEL_INCHES = (4.4, 2.7)
MAX_COLUMNS = 3
SMOOTH_FROM = 100  # rows; fewer are drawn as they are
WINDOWS = 50  # a moving mean is over this part of the rows
_SHOWN = (0.002, 0.998)  # quantiles of what an axis shows, lest one spike flatten the rest

History = Sequence[Mapping[str, float]]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """Columns drawn on the same axes, with their names in the legend; the optimum and its name, where it is known.

    `has_legend`: there are several columns, or other histories have more of them, so that the title names none.
    """

    title: str
    columns: Mapping[str, str]
    optimum: tuple[float, str] | None = None
    is_share: bool = False
    is_logarithmic: bool = False
    has_legend: bool = False


def panels(history: History, *, has_optimum: bool) -> list[Panel]:
    """The panels for which the history has a column; a column that no panel knows gets its own.

    `has_optimum`: the loss is minimax or non-saturating, so that D's outputs are probabilities.
    """
    judged = "D(x), D(G(z))" if has_optimum else "The critic's D(x), D(G(z))"
    known = [
        Panel("Value V(D, G)", {"value": "V"}, (-math.log(4), "-log 4") if has_optimum else None),
        Panel(judged, {"d_real": "real", "d_fake": "generated"}, (0.5, "1/2") if has_optimum else None),
        Panel("Accuracy of D", {"accuracy": "accuracy"}, (0.5, "50%") if has_optimum else None, is_share=True),
        Panel("Diversity of samples", {"diversity": "G(z) / data"}, (1.0, "the data's")),
        Panel("Losses", {"loss_d": "D", "loss_g": "G"}),
        Panel("Cycles", {"cycle_x": "|x - G(E(x))|", "cycle_z": "(z - E(G(z)))²"}, is_logarithmic=True),
        Panel("The encoder's loss", {"izi_f": "izi_f"}, is_logarithmic=True),
        *(_auxiliary_panel(name) for name in AuxiliaryConfig.discriminators()),
        Panel("Gradient norms", {"grad_d": "D", "grad_g": "G"}, is_logarithmic=True),
        Panel("G, at half the size", {"loss_g_half": "loss", "grad_g_half": "gradient"}, is_logarithmic=True),
        Panel("Stop criterion, on other normals", {"criterion": "criterion"}),
    ]
    names = dict.fromkeys(name for row in history for name in row if name != "step")
    known = [_only(panel, names) for panel in known if panel.columns.keys() & names.keys()]
    drawn = {name for panel in known for name in panel.columns}
    return known + [Panel(name, {name: name}) for name in names if name not in drawn]


def curves_png(history: History, *, has_optimum: bool) -> bytes:
    """The figure as a PNG file; rows of the history are steps, and may differ in their columns."""
    drawn = panels(history, has_optimum=has_optimum)
    num_columns = min(MAX_COLUMNS, len(drawn)) if len(drawn) != 4 else 2
    titled = [(panel.title, lambda axes, panel=panel: _draw_panel(axes, panel, history)) for panel in drawn]
    return draw_panels_png(titled, LIGHT, panel_inches=PANEL_INCHES, num_columns=num_columns, padding_inches=0.12)


def moving_mean(values: Values, window: int) -> Values:
    """The mean over `window` neighbours, itself in their middle; over fewer at the ends."""
    window = min(window, len(values))
    weights = np.ones(window)
    mean: Values = np.convolve(values, weights, "same") / np.convolve(np.ones_like(values), weights, "same")
    return mean


def _auxiliary_panel(name: str) -> Panel:
    """Of an auxiliary discriminator."""
    columns = {f"loss_{name}": "loss", f"grad_{name}": "gradient"}
    return Panel(f"Auxiliary: {name.replace('_', ' ')}", columns, is_logarithmic=True)


def _only(panel: Panel, names: Mapping[str, None]) -> Panel:
    columns = {name: told for name, told in panel.columns.items() if name in names}
    return replace(panel, columns=columns, has_legend=len(panel.columns) > 1)


def _draw_panel(axes: Axes, panel: Panel, history: History) -> None:
    series = {name: _series(history, name) for name in panel.columns}
    for (name, (steps, values)), colour in zip(series.items(), (LIGHT.normal, LIGHT.anomalous), strict=False):
        _draw_curve(axes, steps, values, panel.columns[name], colour)
    everything = np.concatenate([values for _, values in series.values()])
    if panel.is_logarithmic and (everything > 0).all():
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        for axis_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            axis_formatter("{x:g}")
    else:
        axes.set_ylim(*_limits(everything, panel.optimum))
    if panel.is_share:
        axes.yaxis.set_major_formatter("{x:.0%}")
    first, last = history[0]["step"], history[-1]["step"]
    axes.set_xlim(min(first, 0), max(last, first + 1))
    axes.set_xlabel("step")
    if panel.optimum:
        _draw_optimum(axes, *panel.optimum)
    if panel.has_legend:
        put_legend(axes, LIGHT)


def _draw_curve(axes: Axes, steps: Values, values: Values, told: str, colour: str) -> None:
    """Few rows as they are; of many a moving mean, and the rows pale behind it."""
    if len(values) < SMOOTH_FROM:
        axes.plot(steps, values, color=colour, linewidth=1.8, label=told, marker="o" if len(values) == 1 else "")
        return
    axes.plot(steps, values, color=colour, linewidth=0.6, alpha=0.28)
    axes.plot(steps, moving_mean(values, len(values) // WINDOWS), color=colour, linewidth=1.8, label=told)


def _draw_optimum(axes: Axes, level: float, told: str) -> None:
    axes.axhline(level, color=LIGHT.ink, linestyle=(0, (4, 3)), linewidth=1.1, zorder=3)
    axes.annotate(
        told,
        (1, level),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        ha="left",
        va="center",
        fontsize=8,
        color=LIGHT.ink,
    )


def _series(history: History, name: str) -> tuple[Values, Values]:
    """Steps and values of the rows that have the column."""
    rows = [(row["step"], row[name]) for row in history if name in row]
    steps, values = np.array(rows, dtype=np.float64).T
    return steps, values


def _limits(values: Values, optimum: tuple[float, str] | None) -> tuple[float, float]:
    low, high = np.quantile(values, _SHOWN).tolist()
    if optimum:
        low, high = min(low, optimum[0]), max(high, optimum[0])
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin
