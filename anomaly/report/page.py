"""`report.html`: what an evaluation found, on one page."""

from dataclasses import dataclass
from functools import partial

from anomaly.calibration import is_above
from anomaly.evaluation.contradictions import outlying_term
from anomaly.evaluation.intervals import Interval
from anomaly.evaluation.results import Evaluation, Example
from anomaly.evaluation.summary import Summary
from anomaly.evaluation.verdict import BASELINE_NAMES, NO_KIND, verdict_lines
from anomaly.report.detectability import detectability_png
from anomaly.report.histogram import histogram_png
from anomaly.report.pictures import ExamplePictures, draw_example
from anomaly.report.places import strength_text
from anomaly.report.plots import precision_recall_png, roc_png
from anomaly.report.templates import Chart, render


@dataclass(frozen=True)
class Bar:
    """One line of a table of AUROCs."""

    name: str
    auroc: float
    is_marked: bool = False
    num_images: int = 0
    interval: Interval | None = None


@dataclass(frozen=True)
class ShownExample:
    """One example as it is shown: small pictures, whether it is called anomalous, and what is to be said of it."""

    path: str
    kind: str
    score: float
    p_value: float
    pictures: ExamplePictures
    is_alarm: bool
    remark: str | None


def render_page(evaluation: Evaluation, summary: Summary) -> str:
    """The whole page as HTML."""
    return render(
        "report.html.jinja",
        evaluation=evaluation,
        summary=summary,
        verdict=verdict_lines(evaluation, summary),
        standing=summary.standing,
        contenders=_contenders(evaluation, summary),
        kinds=_kinds(summary),
        terms=sorted((Bar(name, value) for name, value in summary.auroc_by_term.items()), key=_auroc, reverse=True),
        charts=_charts(evaluation),
        detectability=_detectability_chart(evaluation),
        groups=_draw_groups(evaluation),
    )


def show_example(example: Example, *, is_alarm: bool, remark: str | None = None) -> ShownExample:
    """Draw an example. Nothing of its own size is kept."""
    return ShownExample(
        path=example.path,
        kind=example.kind,
        score=example.score,
        p_value=example.p_value,
        pictures=draw_example(example, is_alarm=is_alarm),
        is_alarm=is_alarm,
        remark=remark,
    )


def _contenders(evaluation: Evaluation, summary: Summary) -> list[Bar]:
    """The detector, which is marked, and the baselines, best first."""
    baselines = [Bar(BASELINE_NAMES.get(name, name), rival.auroc) for name, rival in summary.rivals.items()]
    detector = Bar(evaluation.model.name, summary.image.auroc, is_marked=True)
    return sorted([detector, *baselines], key=_auroc, reverse=True)


def _kinds(summary: Summary) -> list[Bar]:
    """Those of anomalies, hardest first."""
    bars = (
        Bar(kind or NO_KIND, value, num_images=summary.num_by_kind[kind], interval=summary.ci95_by_kind[kind])
        for kind, value in summary.auroc_by_kind.items()
    )
    return sorted(bars, key=_auroc)


def _auroc(bar: Bar) -> float:
    return bar.auroc


def _charts(evaluation: Evaluation) -> list[Chart]:
    figures = {
        "ROC curve with the point in force": roc_png,
        "Precision over recall with the point in force": precision_recall_png,
        "Histograms of the scores of normals and anomalies with the threshold": histogram_png,
    }
    scores, labels, threshold = evaluation.images.scores, evaluation.images.labels, evaluation.threshold
    return [Chart.of(alt, partial(draw, scores, labels, threshold)) for alt, draw in figures.items()]


def _detectability_chart(evaluation: Evaluation) -> Chart | None:
    record = evaluation.model.detectability
    if record is None:
        return None
    return Chart.of("Share of drawn defects found over their size", partial(detectability_png, record))


def _draw_groups(evaluation: Evaluation) -> dict[str, list[ShownExample]]:
    """Examples and their pictures by group, in the order the groups come."""
    groups: dict[str, list[ShownExample]] = {}
    for example in evaluation.examples:
        alarm = is_above(example.score, evaluation.threshold)
        shown = show_example(example, is_alarm=alarm, remark=_remark(example, evaluation, alarm=alarm))
        groups.setdefault(example.group, []).append(shown)
    return groups


def _remark(example: Example, evaluation: Evaluation, *, alarm: bool) -> str | None:
    """How strong the strongest place of an alarm is; of another image, which term is far out all the same."""
    if alarm:
        place = example.strongest
        return f"strongest place: {strength_text(place)} an ordinary normal image's" if place else None
    term = outlying_term(example.standardised, evaluation.model.outlying)
    though = "" if evaluation.threshold is None else "though "  # it passed
    return f"{though}{term.name} is {term.value:.0f} standard deviations above normal images" if term else None
