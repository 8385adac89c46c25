from html.parser import HTMLParser

import numpy as np
import pytest

from anomaly.evaluation.page import render_page
from anomaly.evaluation.results import Evaluation
from anomaly.evaluation.summary import summarise
from tests.evaluation.evaluations import make_evaluation, make_example

pytestmark = pytest.mark.usefixtures("no_figures")

HOSTILE = "a\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{ 7 * 7 }}.png"


class Page(HTMLParser):
    """Tags with their attributes, and the text as a reader sees it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def render(evaluation: Evaluation) -> Page:
    return Page(render_page(evaluation, summarise(evaluation)))


def test_page_needs_nothing_from_outside() -> None:
    mask = np.ones((30, 20), dtype=np.bool_)
    evaluation = make_evaluation(pixel=(0.9, 0.7), examples=[make_example(), make_example(mask=mask)])
    html = render_page(evaluation, summarise(evaluation))
    page = Page(html)
    references = [
        attrs[name] or "" for _, attrs in page.tags for name in ("src", "srcset", "href", "action") if name in attrs
    ]
    assert len(references) == 3 * 2 + 3 + 4
    assert all(reference.startswith("data:image/png;base64,") for reference in references)
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    assert not [outside for outside in ("http://", "https://", "url(", "@import") if outside in html]


def test_hostile_names_are_shown_and_not_obeyed() -> None:
    plain, hostile = (
        make_evaluation(),
        make_evaluation(
            title=HOSTILE,
            model=HOSTILE,
            digest=HOSTILE,
            method=HOSTILE,
            data=HOSTILE,
            kinds=["good"] * 10 + [HOSTILE] * 5 + ["scratch"] * 5,
            terms={HOSTILE: make_evaluation().scores, "cross_entropy": make_evaluation().scores},
            baselines={HOSTILE: 0.6, "knn": 0.5},
            examples=[make_example(path=HOSTILE, kind=HOSTILE, group=HOSTILE)],
        ),
    )
    assert [tag for tag, _ in render(plain).tags] == [tag for tag, _ in render(hostile).tags]
    assert render(hostile).text.count(HOSTILE) >= 12


def test_failures_are_listed_with_their_reasons() -> None:
    page = render(make_evaluation(num_failed=1, failures=[(HOSTILE, "the file <ends> early")]))
    assert HOSTILE in page.text
    assert "the file <ends> early" in page.text
    assert "could not be scored (1)" in page.text
    assert "could not be scored (" not in render(make_evaluation()).text


@pytest.mark.parametrize(
    ("baselines", "css_class", "sentence"),
    [
        ({"pca": 0.3, "knn": 0.2}, "ahead", "It beats the plain baselines. The best of them is PCA at 30.0% AUROC."),
        ({"pca": 0.3, "knn": 0.8}, "level", "by less than the measurement's uncertainty"),
        ({"pca": 0.99, "knn": 0.2}, "behind", "The baseline is better: PCA at 99.0% AUROC, against 87.5%"),
        ({}, "alone", "No baseline was measured"),
    ],
)
def test_headline_says_who_is_better(baselines: dict[str, float], css_class: str, sentence: str) -> None:
    page = render(make_evaluation(baselines=baselines))
    assert sentence in page.text
    assert ("p", {"class": f"standing {css_class}"}) in page.tags


def test_headline_says_how_good_the_verdicts_are() -> None:
    text = render(make_evaluation()).text
    assert "gives the anomalous one the higher score 87.5 times in 100" in text
    assert "finds 70.0% of the anomalies and raises a false alarm on 20.0% of the normals" in text


@pytest.mark.parametrize(("alpha", "num_needed"), [(0.05, 19), (0.01, 99), (0.1, 9), (0.07, 14)])
def test_a_missing_threshold_is_explained(alpha: float, num_needed: int) -> None:
    text = render(make_evaluation(threshold=None, alpha=alpha, num_calibration=3)).text
    assert f"needs at least {num_needed} calibration images, and there are 3" in text
    assert "alarm\n" not in text


def test_examples_carry_the_verdict() -> None:
    examples = [make_example(score=0.76, group="above"), make_example(score=0.75, group="at the threshold")]
    text = render(make_evaluation(examples=examples)).text
    above, at_threshold = text[text.index("above") :].split("at the threshold", 1)
    assert "alarm" in above
    assert "passed" in at_threshold.split("How this was made")[0]


def test_tables_are_sorted_to_be_read_from_the_top() -> None:
    text = render(make_evaluation()).text
    assert text.index("PCA\n") < text.index("nearest neighbours\n")
    assert text.index("dent\n") < text.index("scratch\n")
    assert text.index("residual\n") < text.index("cross_entropy\n")
