"""How small a defect is found, as one figure: a panel for each kind, the share found over the length of the defect."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from anomaly.bundle import DetectabilityCell, DetectabilityRecord
from anomaly.report.plots import LIGHT, Theme, draw_panels_png, put_legend

PANEL_INCHES = (3.1, 2.5)
MAX_COLUMNS = 4
LEGEND_POINTS = 18  # the height of a line for the legend
_STYLES = ("-", (0, (4, 2)), (0, (1, 1.5)))
_SPREAD = 1.04  # by which the marks of the contrasts stand beside each other


def detectability_png(record: DetectabilityRecord, theme: Theme = LIGHT) -> bytes:
    """The figure as a PNG file. Bars are 95 % intervals; the dotted line is the false-alarm rate."""
    kinds: dict[str, list[list[DetectabilityCell]]] = {}
    for (kind, _), cells in record.curves.items():
        kinds.setdefault(kind, []).append(cells)
    titled = [
        (kind.capitalize(), partial(_draw_panel, curves=curves, record=record, theme=theme))
        for kind, curves in kinds.items()
    ]
    num_columns = min(MAX_COLUMNS, len(kinds))
    return draw_panels_png(titled, theme, panel_inches=PANEL_INCHES, num_columns=num_columns, title_pad=LEGEND_POINTS)


def _draw_panel(
    axes: Axes, curves: Sequence[Sequence[DetectabilityCell]], record: DetectabilityRecord, theme: Theme
) -> None:
    """One kind, a curve for each contrast; the axes of lengths are the same for all kinds."""
    lengths = sorted({cell.length for cell in record.cells})
    axes.axhline(record.alpha, color=theme.muted, linestyle=(0, (1, 2)), linewidth=1)
    for place, curve in enumerate(curves):
        _draw_curve(axes, curve, place, theme)
    axes.set(ylim=(-0.03, 1.05), xlabel=_xlabel(curves[0][0]), ylabel="found")
    axes.set_xscale("log", base=2)
    axes.set_xlim(lengths[0] / 1.3, lengths[-1] * 1.3)
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    if len(curves) > 1:
        put_legend(axes, theme, is_below_title=True, handle_length=1.8)


def _draw_curve(axes: Axes, curve: Sequence[DetectabilityCell], place: int, theme: Theme) -> None:
    shares = np.array([cell.share for cell in curve])
    low, high = np.array([[cell.low, cell.high] for cell in curve]).T
    contrast = curve[0].contrast
    axes.errorbar(
        np.array([cell.length for cell in curve]) * _SPREAD**place,
        shares,
        yerr=np.maximum([shares - low, high - shares], 0),
        color=theme.anomalous,
        linestyle=_STYLES[place % len(_STYLES)],
        linewidth=1.6,
        elinewidth=0.8,
        marker="o",
        markersize=3.5,
        markerfacecolor=theme.paper if place else theme.anomalous,
        label=None if contrast is None else f"contrast {contrast:.0%}",
    )


def _xlabel(cell: DetectabilityCell) -> str:
    return "length in pixels" if "scratch" in cell.kind else "pixels across"
