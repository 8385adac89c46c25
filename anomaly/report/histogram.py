"""The figure of how the scores of normals and of anomalies are spread, each in shares of its own number.

Scores have heavy tails, and an axis as long as the farthest one would squeeze all else into a line. So the axis shows
the stretch around the normals and the threshold, where the decision is made; what lies beyond either end is counted in
a hatched bin there, which is cut where it is too tall, and told in words.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from anomaly.counted import percent
from anomaly.evaluation.intervals import Labels
from anomaly.evaluation.metrics import ScoreArray
from anomaly.report.plots import LIGHT, Theme, draw_png

NUM_BINS = 48
REACH = 10  # how far the axis goes beyond the normals' middle half and the threshold, in widths of that half
END_WIDTH = 0.06  # of a hatched bin, as a share of the axis


@dataclass(frozen=True)
class _Group:
    name: str
    scores: ScoreArray
    colour: str


def histogram_png(scores: ScoreArray, labels: Labels, threshold: float | None, theme: Theme = LIGHT) -> bytes:
    """Histograms of the scores of normals and of anomalies, with the threshold in force."""
    groups = [
        _Group("normals", scores[~labels], theme.normal),
        _Group("anomalies", scores[labels], theme.anomalous),
    ]
    low, high = visible_range(scores, labels, threshold)

    def draw(axes: Axes) -> None:
        tallest = max(_draw_bins(axes, group, low, high) for group in groups)
        width = END_WIDTH * (high - low)
        left = _draw_end(axes, groups, low, outwards=-width, theme=theme)
        right = _draw_end(axes, groups, high, outwards=width, theme=theme)
        if threshold is not None:
            axes.axvline(threshold, ymax=0.88, color=theme.ink, linewidth=1.3, linestyle=(0, (5, 2)), label="threshold")
        axes.set(xlabel="Anomaly score", ylabel="Share of its group")
        axes.set(xlim=(left, right), ylim=(0, 1.35 * (tallest or 1)))
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%" if share <= 1 else "")
        axes.legend(frameon=False, labelcolor=theme.ink, loc="upper center", fontsize=8, ncols=3)

    return draw_png("How the scores are spread", draw, theme)


def visible_range(scores: ScoreArray, labels: Labels, threshold: float | None) -> tuple[float, float]:
    """Both ends of the score axis: the normals' middle half and the threshold, and REACH around if scores go so far."""
    low_normal, high_normal = (float(end) for end in np.quantile(scores[~labels], [0.25, 0.75]))
    shown = [low_normal, high_normal] if threshold is None else [low_normal, high_normal, threshold]
    reach = REACH * (high_normal - low_normal)
    low = min(*shown, max(float(scores.min()), min(shown) - reach))
    high = max(*shown, min(float(scores.max()), max(shown) + reach))
    margin = 0.03 * (high - low) if high > low else max(0.1 * abs(high), 0.1)
    return low - margin, high + margin


def _draw_bins(axes: Axes, group: _Group, low: float, high: float) -> float:
    """Draw what lies between the ends, and return the largest share."""
    edges = np.linspace(low, high, NUM_BINS + 1)
    shares = np.histogram(group.scores, edges)[0] / group.scores.size
    axes.stairs(shares, edges, fill=True, color=group.colour, alpha=0.3)
    axes.stairs(shares, edges, color=group.colour, linewidth=1.5, label=group.name)
    return float(shares.max())


def _draw_end(axes: Axes, groups: list[_Group], end: float, *, outwards: float, theme: Theme) -> float:
    """Count and tell what lies beyond one end, in a bin `outwards` of it; return where the axis ends now."""
    shares = {group.name: float(np.mean((group.scores - end) * outwards > 0)) for group in groups}
    if not any(shares.values()):
        return end
    for group in groups:
        edges = sorted([end, end + outwards])
        axes.stairs([shares[group.name]], edges, fill=True, color=group.colour, alpha=0.45, hatch="////")
    axes.axvline(end, color=theme.grid, linewidth=1)
    axes.annotate(
        "beyond the axis:\n" + "\n".join(f"{percent(share)} of {name}" for name, share in shares.items() if share),
        (end, 0.84),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-4 if outwards > 0 else 4, 0),
        textcoords="offset points",
        ha="right" if outwards > 0 else "left",
        va="top",
        fontsize=7.5,
        color=theme.muted,
    )
    return end + outwards
