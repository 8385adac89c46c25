import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from anomaly.evaluation import Evaluation, summarise, verdict_lines
from anomaly.report import page
from anomaly.report.page import render_page
from tests.alive import Alive
from tests.bundle.records import make_record
from tests.evaluation.evaluations import changed, make_evaluation, make_example, make_pixel, ranked

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
    evaluation = make_evaluation(pixel=make_pixel(), examples=[make_example(), make_example(mask=mask)])
    html = render_page(evaluation, summarise(evaluation))
    page = Page(html)
    references = [
        attrs[name] or "" for _, attrs in page.tags for name in ("src", "srcset", "href", "action") if name in attrs
    ]
    assert len(references) == 3 * 2 + 1 + 3 + 4
    assert all(reference.startswith("data:image/png;base64,") for reference in references)
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    assert not [outside for outside in ("http://", "https://", "url(", "@import") if outside in html]


@pytest.mark.parametrize("name", ["report", "archive"])
def test_pictures_are_there_before_the_page_is_scrolled(name: str) -> None:
    """A page that is printed is not scrolled, and pictures that load late stay empty on it."""
    assert "lazy" not in Path(page.__file__).with_name(f"{name}.html.jinja").read_text("utf-8")


def test_a_number_before_a_bar_has_room() -> None:
    rules = Path(page.__file__).with_name("report.css").read_text("utf-8")
    (padding,) = re.findall(r"td\.value:not\(:last-child\) { padding-right: ([\d.]+)rem; }", rules)
    assert float(padding) > 0.5


def test_what_is_printed_has_its_bars_and_no_picture_in_two_halves() -> None:
    """Browsers leave out backgrounds on paper unless a rule asks for them, and part what may be parted."""
    rules = Path(page.__file__).with_name("report.css").read_text("utf-8")
    printed = rules[rules.index("@media print") :]
    assert re.search(r"td\.bar i[^}]*print-color-adjust: exact", printed)
    assert re.search(r"\.charts picture[^}]*break-inside: avoid", printed)
    assert re.search(r"h2[^}]*break-after: avoid", printed)


def test_hostile_names_are_shown_and_not_obeyed() -> None:
    plain, hostile = (
        make_evaluation(),
        make_evaluation(
            title=HOSTILE,
            name=HOSTILE,
            digest=HOSTILE,
            method=HOSTILE,
            data=HOSTILE,
            kinds=["good"] * 10 + [HOSTILE] * 5 + ["scratch"] * 5,
            terms={HOSTILE: make_evaluation().images.scores, "cross_entropy": make_evaluation().images.scores},
            baselines={HOSTILE: make_evaluation().images.scores, "knn": make_evaluation().images.scores},
            examples=[make_example(path=HOSTILE, kind=HOSTILE, group=HOSTILE)],
        ),
    )
    assert [tag for tag, _ in render(plain).tags] == [tag for tag, _ in render(hostile).tags]
    assert render(hostile).text.count(HOSTILE) >= 12


def test_failures_are_listed_with_their_reasons() -> None:
    page = render(make_evaluation(failures=[(HOSTILE, "the file <ends> early")]))
    assert HOSTILE in page.text
    assert "the file <ends> early" in page.text
    assert "could not be scored (1)" in page.text
    assert "could not be scored (" not in render(make_evaluation()).text


def test_a_failure_names_its_file_once() -> None:
    page = render(make_evaluation(failures=[("a/b.png", "a/b.png: cannot be decoded")]))
    assert page.text.count("a/b.png") == 1
    assert "cannot be decoded" in page.text


def test_masks_that_could_not_be_used_are_listed_and_counted() -> None:
    page = render(make_evaluation(pixel=make_pixel(failures=[(HOSTILE, "the mask <is> torn")])))
    assert "whose mask could not be used (1)" in page.text
    assert HOSTILE in page.text
    assert "the mask <is> torn" in page.text
    assert "pixel figures of 8 anomalous and 10 normal images;" in page.text
    assert "1 anomalous one without a mask, 1 mask that could not be used" in page.text
    assert "mask" not in render(make_evaluation()).text


def test_it_tells_of_how_many_images_and_trainings_it_is() -> None:
    evaluation = make_evaluation(seed=3, kinds=["good"] * 10 + ["dent"] * 3 + ["scratch"] * 7)
    page = render(evaluation)
    assert "Trainingone, seed 3" in page.text
    text = page.text.split()
    by_kind = text[text.index("hardest") :]
    assert by_kind[by_kind.index("dent") + 1] == "3"
    assert by_kind[by_kind.index("scratch") + 1] == "7"
    low, high = summarise(evaluation).ci95_by_kind["dent"]
    assert f" dent 3 65.0% {low:.1%} – {high:.1%} scratch 7 " in " ".join(by_kind)
    assert "fitted on 30 normal images" in " ".join(text)
    without = render(make_evaluation(kinds=["good"] * 10 + [""] * 3 + ["scratch"] * 7))
    assert " no kind given 3 65.0% " in " ".join(without.text.split())


@pytest.mark.parametrize(
    ("sign", "aurocs", "css_class"),
    [
        (1, {"pca": 0.3, "knn": 0.2}, "ahead"),
        (1, {"pca": 0.3, "knn": 0.8}, "level"),
        (-1, {"pca": 0.99, "knn": 0.2}, "behind"),
        (1, {}, "alone"),
    ],
)
def test_the_comparison_is_marked(sign: int, aurocs: dict[str, float], css_class: str) -> None:
    usual = make_evaluation()
    baselines = {name: ranked(auroc, usual.images.labels) for name, auroc in aurocs.items()}
    page = render(make_evaluation(scores=sign * usual.images.scores, baselines=baselines))
    assert ("p", {"class": f"standing {css_class}"}) in page.tags


def test_the_headlines_are_the_verdict() -> None:
    evaluation = make_evaluation()
    text = render(evaluation).text
    for sentence in verdict_lines(evaluation, summarise(evaluation)):
        assert text.count(sentence) == 1


def test_without_a_threshold_no_example_is_an_alarm() -> None:
    text = render(make_evaluation(threshold=None, alpha=0.05, num_calibration=3)).text
    assert "alarm\n" not in text
    assert "passed\n" not in text


def test_without_a_threshold_nothing_is_said_to_be_at_it_or_set_by_it() -> None:
    extreme = make_example(standardised={"residual": 12.4})
    without = make_evaluation(threshold=None, alpha=0.05, num_calibration=3, examples=[extreme])
    text = " ".join(render(without).text.split())
    assert "of 10: there is no threshold" in text
    assert "of 10 normals: there is no threshold" in text
    assert "none: 3 calibration images are too few for a false-alarm rate of 5.0%" in text
    assert "none: 1 calibration image is too few" in " ".join(render(changed(without, num_calibration=1)).text.split())
    assert "set by" not in text
    assert "though" not in text
    assert "residual is 12 standard deviations above normal images" in text
    assert "set by 99 calibration images" in render(make_evaluation()).text


def test_examples_carry_the_verdict() -> None:
    examples = [make_example(score=0.76, group="above"), make_example(score=0.75, group="at the threshold")]
    text = render(make_evaluation(examples=examples)).text
    above, at_threshold = text[text.index("above") :].split("at the threshold", 1)
    assert "alarm" in above
    assert "passed" in at_threshold.split("How this was made")[0]


def test_examples_are_drawn_one_at_a_time() -> None:
    """Each may be as large as its picture: the page keeps the small ones drawn of it."""
    alive = Alive()
    examples = (alive.add(make_example(path=f"test/{number}.png")) for number in range(24))
    assert render(make_evaluation(examples=examples)).text.count("4.5 · p") == alive.num_added == 24
    assert alive.most <= 2


def test_every_group_of_heatmaps_has_its_legend() -> None:
    page = render(make_evaluation(examples=[make_example(group=group) for group in ("a", "a", "b")]))
    assert page.text.count("Heatmap: as normals") == page.text.count("far from normal\n") == 2


def test_tables_are_sorted_to_be_read_from_the_top() -> None:
    text = render(make_evaluation()).text
    assert text.index("PCA\n") < text.index("nearest neighbours\n")
    assert text.index("dent\n") < text.index("scratch\n")
    assert text.index("residual\n") < text.index("cross_entropy\n")


def test_an_alarm_tells_the_strength_of_its_strongest_place_and_a_passed_image_its_extreme_term() -> None:
    extreme = {"residual": 12.4, "cross_entropy": 0.0}
    examples = [
        make_example(score=0.76, standardised=extreme, group="above"),
        make_example(score=0.75, standardised=extreme, group="below"),
        make_example(score=0.75, group="ordinary"),
    ]
    text = render(make_evaluation(examples=examples)).text
    above, rest = text[text.index("above\n") :].split("below\n", 1)
    below, ordinary = rest.split("ordinary\n", 1)
    assert "strongest place: 3.9× an ordinary normal image's" in above
    assert "though residual is 12 standard deviations above normal images" in below
    assert "strongest place" not in below
    assert "standard deviations" not in above + ordinary.split("How this was made")[0]


def test_how_small_a_defect_is_found_is_told_where_it_was_measured() -> None:
    record = make_record()
    page = render(make_evaluation(detectability=record))
    for sentence in record.sentences():
        assert page.text.count(sentence) == 1
    assert "not on this data" in page.text
    assert ("img", "Share of drawn defects found over their size") in [
        (tag, attrs.get("alt")) for tag, attrs in page.tags
    ]
    assert "How small" not in render(make_evaluation()).text


def test_long_pictures_have_a_row_of_their_own() -> None:
    wide = make_example(image=np.zeros((10, 200), np.uint8), heatmap=np.zeros((10, 200)))
    tall = make_example(image=np.zeros((200, 10), np.uint8), heatmap=np.zeros((200, 10)))
    page = render(make_evaluation(examples=[wide, make_example(), tall]))
    assert [attrs.get("class") for tag, attrs in page.tags if tag == "figure"] == ["wide", None, "tall"]
