"""`report.html`: one page that needs no other file, no script and no network.

Every text from outside, file names above all, passes jinja's autoescape.
"""

from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from anomaly.calibration import is_above
from anomaly.counted import counted, percent, percent_as_given
from anomaly.evaluation.contradictions import outlying_term
from anomaly.evaluation.results import Evaluation, Example
from anomaly.evaluation.summary import Summary
from anomaly.evaluation.verdict import BASELINE_NAMES, verdict_lines
from anomaly.report.detectability import detectability_png
from anomaly.report.heat import LEGEND
from anomaly.report.histogram import histogram_png
from anomaly.report.pictures import ExamplePictures, data_uri, draw_example, legend_uri
from anomaly.report.places import strength_text
from anomaly.report.plots import DARK, LIGHT, precision_recall_png, roc_png


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
    num_images: int = 0


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
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "percent_as_given": percent_as_given}
    environment.filters |= {"number": _number, "counted": counted, "reason": _reason}
    package = files(__package__)
    template = environment.from_string(package.joinpath("report.html.jinja").read_text("utf-8"))
    return template.render(
        evaluation=evaluation,
        summary=summary,
        css=package.joinpath("report.css").read_text("utf-8"),
        verdict=verdict_lines(evaluation, summary),
        standing=summary.standing,
        contenders=_contenders(evaluation, summary),
        kinds=_hardest_first(summary.auroc_by_kind, summary.num_by_kind),
        terms=_hardest_first(summary.auroc_by_term)[::-1],
        charts=_charts(evaluation),
        detectability=_detectability_chart(evaluation),
        groups=_draw_groups(evaluation),
        legend=legend_uri(),
        legend_words=LEGEND,
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
    detector = Bar(evaluation.model, summary.image.auroc, is_marked=True)
    return sorted([detector, *baselines], key=lambda bar: bar.auroc, reverse=True)


def _hardest_first(aurocs: dict[str, float], nums: dict[str, int] | None = None) -> list[Bar]:
    bars = (Bar(name, value, num_images=(nums or {}).get(name, 0)) for name, value in aurocs.items())
    return sorted(bars, key=lambda bar: bar.auroc)


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


def _detectability_chart(evaluation: Evaluation) -> Chart | None:
    record = evaluation.detectability
    if record is None:
        return None
    uris = (data_uri(detectability_png(record, theme)) for theme in (LIGHT, DARK))
    return Chart("Share of drawn defects found over their size", *uris)


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
    term = outlying_term(example.standardised, evaluation.outlying)
    though = "" if evaluation.threshold is None else "though "  # it passed
    return f"{though}{term.name} is {term.value:.0f} standard deviations above normal images" if term else None


def _reason(text: str, path: str) -> str:
    """Why a file failed, for a row that has its path already."""
    return text.removeprefix(f"{path}: ")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
