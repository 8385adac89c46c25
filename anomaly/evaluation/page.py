"""`report.html`: one page that needs no other file, no script and no network.

Every text from outside, file names above all, passes jinja's autoescape.
"""

import math
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from anomaly.evaluation.histogram import histogram_png
from anomaly.evaluation.pictures import Row, data_uri, draw_row
from anomaly.evaluation.plots import DARK, LIGHT, precision_recall_png, roc_png
from anomaly.evaluation.results import Evaluation, Example
from anomaly.evaluation.summary import Standing, Summary

BASELINE_NAMES = {"pca": "PCA", "knn": "nearest neighbours"}


@dataclass(frozen=True)
class Chart:
    """One figure for pages of either colour scheme, as data URIs."""

    alt: str
    light: str
    dark: str


@dataclass(frozen=True)
class Bar:
    """One line of a table of AUROCs."""

    name: str
    auroc: float
    is_marked: bool = False


def render_page(evaluation: Evaluation, summary: Summary) -> str:
    """The whole page as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": _percent, "number": _number}
    package = files(__package__)
    template = environment.from_string(package.joinpath("report.html.jinja").read_text("utf-8"))
    return template.render(
        evaluation=evaluation,
        summary=summary,
        css=package.joinpath("report.css").read_text("utf-8"),
        ranking=ranking_sentence(evaluation, summary),
        operating=operating_sentence(evaluation, summary),
        standing=summary.standing(evaluation.baselines),
        comparison=comparison_sentence(evaluation, summary),
        contenders=_contenders(evaluation, summary),
        kinds=_hardest_first(summary.auroc_by_kind),
        terms=_hardest_first(summary.auroc_by_term)[::-1],
        charts=_charts(evaluation),
        groups=_draw_groups(evaluation.examples),
    )


def ranking_sentence(evaluation: Evaluation, summary: Summary) -> str:
    """How good the scores are, without a threshold."""
    low, high = summary.image.auroc_ci95
    return (
        f"Shown a normal and an anomalous image, {evaluation.model} gives the anomalous one the higher score "
        f"{100 * summary.image.auroc:.1f} times in 100 (95% interval {100 * low:.1f} to {100 * high:.1f})."
    )


def operating_sentence(evaluation: Evaluation, summary: Summary) -> str:
    """How good the verdicts are, at the threshold in force."""
    if evaluation.threshold is None:
        num_needed = math.ceil(round(1 / evaluation.alpha - 1, 9))
        return (
            f"No threshold is in force: a false-alarm rate of {evaluation.alpha:.3g} needs at least {num_needed} "
            f"calibration images, and there are {evaluation.num_calibration}. Calibrate with more normal images, or "
            "ask for a higher rate."
        )
    return (
        f"At the threshold in force it finds {_percent(summary.tpr_at_threshold)} of the anomalies and raises a false "
        f"alarm on {_percent(summary.fpr_at_threshold)} of the normals; {_percent(evaluation.alpha)} was asked for."
    )


def comparison_sentence(evaluation: Evaluation, summary: Summary) -> str:
    """Whether the detector beats the best plain baseline, said plainly."""
    standing = summary.standing(evaluation.baselines)
    if standing is Standing.ALONE:
        return "No baseline was measured, so nothing is known of whether a GAN is worth its while here."
    name = max(evaluation.baselines, key=evaluation.baselines.__getitem__)
    best = f"{BASELINE_NAMES.get(name, name)} at {_percent(evaluation.baselines[name])} AUROC"
    match standing:
        case Standing.AHEAD:
            return f"It beats the plain baselines. The best of them is {best}."
        case Standing.LEVEL:
            return f"It leads the best plain baseline, {best}, by less than the measurement's uncertainty."
        case Standing.BEHIND:
            return f"The baseline is better: {best}, against {_percent(summary.image.auroc)} for this detector."


def _contenders(evaluation: Evaluation, summary: Summary) -> list[Bar]:
    """The detector, which is marked, and the baselines, best first."""
    baselines = [Bar(BASELINE_NAMES.get(name, name), value) for name, value in evaluation.baselines.items()]
    detector = Bar(evaluation.model, summary.image.auroc, is_marked=True)
    return sorted([detector, *baselines], key=lambda bar: bar.auroc, reverse=True)


def _hardest_first(aurocs: dict[str, float]) -> list[Bar]:
    return sorted((Bar(name, value) for name, value in aurocs.items()), key=lambda bar: bar.auroc)


def _charts(evaluation: Evaluation) -> list[Chart]:
    figures = {
        "ROC curve with the point in force": roc_png,
        "Precision over recall with the point in force": precision_recall_png,
        "Histograms of the scores of normals and anomalies with the threshold": histogram_png,
    }
    scores, labels, threshold = evaluation.scores, evaluation.labels, evaluation.threshold
    return [
        Chart(alt, *(data_uri(draw(scores, labels, threshold, theme)) for theme in (LIGHT, DARK)))
        for alt, draw in figures.items()
    ]


def _draw_groups(examples: list[Example]) -> dict[str, list[tuple[Example, Row]]]:
    """Examples and their pictures by group, in the order the groups come."""
    groups: dict[str, list[tuple[Example, Row]]] = {}
    for example in examples:
        groups.setdefault(example.group, []).append((example, draw_row(example)))
    return groups


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
