"""`_report.html` of an archive: how scores and p-values are spread, what is flagged where, the strangest images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from anomaly.report.page import ShownExample
from anomaly.report.plots import Theme, draw_png
from anomaly.report.templates import Chart, render

_MANY = 1000  # from here on an axis of counts has a number for each power of ten only


@dataclass(frozen=True)
class BinnedCounts:
    """Counts between edges (n + 1,), ascending; `below` and `above` are beyond them."""

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    below: int = 0
    above: int = 0


@dataclass(frozen=True)
class FlaggedShard:
    """A shard, its images that have a score, and how many of them are flagged."""

    name: str
    num_scored: int
    num_flagged: int

    @property
    def share(self) -> float:
        """Flagged of those that have a score."""
        return self.num_flagged / self.num_scored


@dataclass(frozen=True)
class ArchiveFindings:
    """What the page shows. `manifest` is what `_manifest.json` says; `flagged_by` says what flags an image.

    `strangest`: the images with the highest scores, and if they are flagged.
    """

    model: str
    manifest: dict[str, object]
    threshold: float | None
    flagged_by: str
    num_flagged: int
    scores: BinnedCounts
    p_values: BinnedCounts
    shares: BinnedCounts
    shards: Sequence[FlaggedShard]
    strangest: Sequence[ShownExample]
    unreadable: Sequence[tuple[str, str]]


def render_archive(findings: ArchiveFindings) -> str:
    """The whole page as HTML."""
    return render(
        "archive.html.jinja",
        findings=findings,
        manifest=findings.manifest,
        charts=[
            _chart("How the scores are spread", ("Anomaly score", "Images"), findings.scores, findings.threshold),
            _chart("How the p-values are spread", ("p-value", "Images"), findings.p_values),
            _chart("Flagged share by shard", ("Share of a shard's images", "Shards"), findings.shares, is_share=True),
        ],
        examples=findings.strangest,
    )


def _chart(
    title: str,
    labels: tuple[str, str],
    binned: BinnedCounts,
    threshold: float | None = None,
    *,
    is_share: bool = False,
) -> Chart:
    """Counts over bins; `labels` are those of the axes, x and y."""
    label, counts_of = labels

    def draw_with(theme: Theme) -> bytes:
        def draw(axes: Axes) -> None:
            axes.stairs(binned.counts, binned.edges, fill=True, color=theme.normal, alpha=0.4)
            axes.stairs(binned.counts, binned.edges, color=theme.normal, linewidth=1.5)
            if threshold is not None:
                axes.axvline(threshold, color=theme.ink, linewidth=1.3, linestyle=(0, (5, 2)), label="threshold")
                axes.legend(frameon=False, labelcolor=theme.ink, fontsize=8)
            axes.set(xlabel=label, ylabel=counts_of)
            if is_share:
                axes.xaxis.set_major_formatter("{x:.0%}")
            _scale_counts(axes, int(binned.counts.max()))
            beyond = [f"{n:,} {where}" for n, where in ((binned.below, "below"), (binned.above, "above")) if n]
            if beyond:
                axes.set_xlabel(f"{label} (beyond the axis: {', '.join(beyond)})")

        return draw_png(title, draw, theme)

    return Chart.of(title, draw_with)


def _scale_counts(axes: Axes, most: int) -> None:
    """A logarithmic axis from 0 on, with numbers that can be read off it, and room above the largest for a legend."""
    axes.set_yscale("symlog", linthresh=1)
    digits = range(len(str(most)))
    steps = (1, 2, 5) if most < _MANY else (1,)
    axes.set_yticks([0, *(step * 10**digit for digit in digits for step in steps)], minor=False)
    axes.set_yticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(0, 1.5 * max(most, 1) ** 1.1)
