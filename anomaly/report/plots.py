"""The curves of a report, and the looks that all its figures share.

Drawn with matplotlib's objects alone, so that no state is shared with whoever else draws. Blue is normal and orange
anomalous (Okabe and Ito's colours, which the colour-blind can tell apart), and labels say the same.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from anomaly.calibration import is_above
from anomaly.counted import percent
from anomaly.evaluation.intervals import Labels
from anomaly.evaluation.metrics import ScoreArray, auroc, rates_at

SIZE_INCHES = (4.6, 3.7)
DOTS_PER_INCH = 200


@dataclass(frozen=True)
class Theme:
    """Colours that go with a page."""

    paper: str
    ink: str
    muted: str
    grid: str
    normal: str
    anomalous: str


LIGHT = Theme(paper="#ffffff", ink="#1d2430", muted="#667085", grid="#e6e9ef", normal="#0072b2", anomalous="#d55e00")
DARK = Theme(paper="#171c26", ink="#e8ebf1", muted="#98a2b3", grid="#2b3343", normal="#56b4e9", anomalous="#f59e3d")


def roc_png(scores: ScoreArray, labels: Labels, threshold: float | None, theme: Theme = LIGHT) -> bytes:
    """True- over false-positive rate at every threshold, with the point in force."""

    def draw(axes: Axes) -> None:
        fpr, tpr, _ = roc_curve(labels, scores)
        axes.plot([0, 1], [0, 1], color=theme.muted, linestyle=(0, (2, 3)), linewidth=1)
        axes.plot(fpr, tpr, color=theme.normal, linewidth=2)
        axes.fill_between(fpr, tpr, color=theme.normal, alpha=0.08, linewidth=0)
        axes.text(0.97, 0.04, f"AUROC {percent(auroc(scores, labels))}", color=theme.ink, ha="right", weight="bold")
        fpr_now, tpr_now = rates_at(scores, labels, threshold)
        if fpr_now is not None and tpr_now is not None:
            told = f"threshold in force\nfalse alarms {percent(fpr_now)}\nfound {percent(tpr_now)}"
            _mark(axes, fpr_now, tpr_now, told, theme)
        _square(axes, "False alarms (share of normals)", "Found (share of anomalies)")

    return draw_png("Receiver operating characteristic", draw, theme)


def precision_recall_png(scores: ScoreArray, labels: Labels, threshold: float | None, theme: Theme = LIGHT) -> bytes:
    """Precision over recall at every threshold, with the point in force; dots where guessing would stand."""

    def draw(axes: Axes) -> None:
        precision, recall, _ = precision_recall_curve(labels, scores)
        axes.axhline(labels.mean(), color=theme.muted, linestyle=(0, (2, 3)), linewidth=1)
        axes.step(recall, precision, where="post", color=theme.normal, linewidth=2)
        flagged = is_above(scores, threshold)
        if flagged.any():
            precision_now, recall_now = labels[flagged].mean(), flagged[labels].mean()
            told = f"threshold in force\nprecision {percent(precision_now)}\nrecall {percent(recall_now)}"
            _mark(axes, recall_now, precision_now, told, theme)
        _square(axes, "Recall (share of anomalies found)", "Precision (share of alarms that are right)")

    return draw_png("Precision and recall", draw, theme)


def draw_png(title: str, draw: Callable[[Axes], None], theme: Theme) -> bytes:
    """A figure as a PNG file, with `draw` to fill its axes."""
    return draw_panels_png([(title, draw)], theme, panel_inches=SIZE_INCHES)


def draw_panels_png(
    panels: Sequence[tuple[str, Callable[[Axes], None]]],
    theme: Theme,
    *,
    panel_inches: tuple[float, float],
    num_columns: int = 1,
    padding_inches: float | None = None,
    title_pad: float | None = None,
) -> bytes:
    """A figure of panels in rows as a PNG file: the title of each, and what fills its axes.

    `padding_inches` is around each panel, `title_pad` between its title and its axes in points; both by default are
    matplotlib's.
    """
    num_rows = -(-len(panels) // num_columns)
    figsize = panel_inches[0] * num_columns, panel_inches[1] * num_rows
    figure = Figure(figsize=figsize, dpi=DOTS_PER_INCH, layout="constrained", facecolor=theme.paper)
    if padding_inches is not None:
        figure.get_layout_engine().set(w_pad=padding_inches, h_pad=padding_inches)  # type: ignore[union-attr, call-arg]
    for number, (title, draw) in enumerate(panels, start=1):
        axes = figure.add_subplot(num_rows, num_columns, number, facecolor=theme.paper)
        axes.set_title(title, loc="left", fontsize=10.5, weight="bold", color=theme.ink, pad=title_pad)
        draw(axes)
        dress(axes, theme)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _mark(axes: Axes, x: float, y: float, told: str, theme: Theme) -> None:
    """A dot with a label that stays inside the unit square."""
    axes.plot(
        [x], [y], marker="o", markersize=8, color=theme.anomalous, markeredgecolor=theme.paper, clip_on=False, zorder=5
    )
    rightwards, downwards = x < 0.5, y > 0.3
    axes.annotate(
        told,
        (x, y),
        xytext=(12 if rightwards else -12, -12 if downwards else 12),
        textcoords="offset points",
        ha="left" if rightwards else "right",
        va="top" if downwards else "bottom",
        fontsize=8,
        color=theme.ink,
        linespacing=1.4,
        bbox={"facecolor": theme.paper, "alpha": 0.75, "edgecolor": "none", "pad": 1.5},
    )


def _square(axes: Axes, xlabel: str, ylabel: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=xlabel, ylabel=ylabel, aspect="equal")
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.yaxis.set_major_formatter("{x:.0%}")


def put_legend(axes: Axes, theme: Theme, *, is_below_title: bool = False, handle_length: float = 1) -> None:
    """A legend in one line above the axes, where it lies over nothing that is drawn: beside the title, or below it.

    Below it there is room where the figure was drawn with `title_pad`.
    """
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles,
        labels,
        loc="lower left" if is_below_title else "lower right",
        bbox_to_anchor=(0, 1) if is_below_title else (1, 1),
        borderaxespad=0,
        fontsize=8,
        frameon=False,
        labelcolor=theme.ink,
        ncols=len(labels),
        borderpad=0.2,
        columnspacing=1,
        handlelength=handle_length,
        handletextpad=0.4,
    )


def dress(axes: Axes, theme: Theme) -> None:
    """The grid, spines and ticks that all figures share."""
    axes.grid(color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.grid)
    axes.tick_params(which="both", colors=theme.muted, labelsize=8, length=0, pad=5)
    axes.xaxis.label.set(color=theme.muted, fontsize=8.5)
    axes.yaxis.label.set(color=theme.muted, fontsize=8.5)
