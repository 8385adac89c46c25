"""The history and drift panels against answers as the calls give them, and what they say where history is off."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.service.fakes import Instance, png
from tests.service.static.conftest import open_page
from tests.service.static.desk import drop, finish, tile, tiles

BASE = {"model": "m", "version": 1, "digest": "d", "image_hash": "h", "p_value": 0.01, "threshold": 94.0, "alpha": 0.05}


def entry(number: int, **changes: Any) -> dict[str, Any]:
    """One entry of a history."""
    own = {"id": number, "request_id": f"r{number}", "time": "2026-11-25T07:00:00Z", "filename": f"{number}.png"}
    rest = {"score": float(number), "is_anomalous": number > 94, "correction": None, "corrected_by": None}
    kept = {"part": None, "terms": {"residual": 1.5, "feature_matching": 0.25}, "has_thumbnail": True}
    return BASE | own | rest | {"corrected_at": None} | kept | changes


class Stub:
    """Answers for /history in the place of the server's."""

    def __init__(self, page: Page, *pages: list[dict[str, Any]]) -> None:
        self.pages = list(pages)
        self.queries: list[dict[str, list[str]]] = []
        self.corrections: list[tuple[str, Any]] = []
        page.route(re.compile(r"/history(\.csv)?(\?|$)"), self.answer)
        page.route("**/history/*/thumbnail", lambda route: route.fulfill(body=png(1), content_type="image/png"))
        page.route("**/history/*/correction", self.correct)

    def answer(self, route: Route) -> None:
        self.queries.append(parse_qs(urlsplit(route.request.url).query))
        if "history.csv" in route.request.url:
            route.fulfill(body="id,filename\r\n1,a.png\r\n", content_type="text/csv")
        else:
            items = self.pages.pop(0) if self.pages else []
            route.fulfill(json={"items": items, "next": items[-1]["id"] if self.pages else None})

    def correct(self, route: Route) -> None:
        path, body = urlsplit(route.request.url).path, dict(route.request.post_data_json or {})
        self.corrections.append((path, body))
        said = {"corrected_by": "line-3", "corrected_at": "2026-11-26T09:30:00.000+00:00"}
        route.fulfill(json=entry(int(path.split("/")[2]), **body, **said))


@pytest.fixture
def stub(page: Page) -> Stub:
    return Stub(page, [entry(300), entry(96, filename="<b>x</b>.png")], [entry(7, correction="anomalous")])


def look(page: Page) -> None:
    page.get_by_role("link", name="History").click()
    expect(page.locator("#history-status")).to_be_empty()


def test_the_history_comes_in_pages_with_pictures_and_corrections(page: Page, stub: Stub) -> None:
    look(page)
    rows = page.locator("#history-rows li")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("<b>x</b>.png")
    expect(rows.nth(0)).to_contain_text("▲ anomalous")
    expect(rows.nth(0)).to_contain_text(re.compile(r"about [\d.]+ % of normal images score as high"))  # an estimate
    expect(page.locator("#history-rows img")).to_have_count(2)
    page.get_by_role("button", name="Show earlier ones").press("Enter")
    expect(rows).to_have_count(3)
    expect(rows.nth(2).get_by_role("button", name="7.png", exact=True)).to_be_focused()  # the button has gone
    expect(rows.nth(2)).to_contain_text("Corrected to anomalous by somebody.")
    expect(rows.nth(2).get_by_role("button", name="It is anomalous")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Show earlier ones")).to_be_hidden()
    assert [query.get("before") for query in stub.queries] == [None, ["96"]]


def test_the_filter_is_the_servers(page: Page, stub: Stub) -> None:
    look(page)
    form = page.locator("#history-filter")
    form.locator("[name=verdict]").select_option("anomalous")
    form.locator("[name=since]").fill("2026-11-24T10:30")
    form.locator("[name=min_score]").fill("4.5")
    form.locator("[name=part]").fill("A-17")
    form.locator("[name=name]").fill("cam 1")
    form.locator("[name=request_id]").fill("r-5")
    form.get_by_role("button", name="Show").click()
    expect(page.locator("#history-status")).to_be_empty()
    query = {name: values[0] for name, values in stub.queries[-1].items()}
    since = query.pop("since")
    assert datetime.fromisoformat(since).astimezone() == datetime(2026, 11, 24, 10, 30).astimezone()
    searched = {"part": "A-17", "name": "cam 1", "request_id": "r-5"}
    assert query == searched | {"model": "m", "verdict": "anomalous", "min_score": "4.5", "limit": "50"}
    with page.expect_download() as download:
        form.get_by_role("button", name="Export CSV").click()
    assert download.value.suggested_filename == "history.csv"
    assert stub.queries[-1].get("min_score") == ["4.5"]


def test_earlier_ones_pass_the_filter_of_those_that_are_shown(page: Page, stub: Stub) -> None:
    look(page)
    page.locator("#history-filter [name=verdict]").select_option("normal")  # but not shown
    page.get_by_role("button", name="Show earlier ones").click()
    expect(page.locator("#history-rows li")).to_have_count(3)
    assert [query.get("verdict") for query in stub.queries] == [None, None]


def test_a_date_without_a_time_is_asked_about_and_not_left_out_of_the_export(page: Page, stub: Stub) -> None:
    look(page)
    since = page.locator("#history-filter [name=since]")
    since.focus()
    page.keyboard.type("11282026")
    asked = len(stub.queries)
    page.locator("#history-csv").click()
    expect(since).to_be_focused()  # the browser says there what is missing
    assert len(stub.queries) == asked


def test_what_is_scored_and_not_kept_is_said_above_the_rows(page: Page) -> None:
    failing = {"items": [entry(300)], "next": None, "failure": "the disk is full"}
    page.route(re.compile(r"/history\?"), lambda route: route.fulfill(json=failing))
    page.route("**/history/*/thumbnail", lambda route: route.fulfill(body=png(1), content_type="image/png"))
    page.get_by_role("link", name="History").click()
    expect(page.locator("#history-status")).to_have_text(
        "What is scored now is not kept, so it does not appear here: the disk is full."
    )
    expect(page.locator("#history-rows li")).to_have_count(1)


def test_the_browsers_back_button_closes_what_lies_over_the_view(page: Page, stub: Stub) -> None:
    look(page)
    page.locator("#history-rows .open").first.click()
    expect(page.locator("#record")).to_be_visible()
    page.go_back()
    expect(page.locator("#inspect")).to_be_visible()
    expect(page.locator("#record")).to_be_hidden()


def test_a_correction_is_sent_and_can_be_taken_back(page: Page, stub: Stub) -> None:
    look(page)
    row = page.locator("#history-rows li").first
    row.get_by_role("button", name="It is normal").click()
    expect(row).to_contain_text("Corrected to normal by you.")
    row.get_by_role("button", name="No correction").click()
    expect(row).to_contain_text("Correction taken back by you.")
    path = "/history/300/correction"
    assert stub.corrections == [(path, {"correction": "normal"}), (path, {"correction": None})]


def test_an_entry_that_was_corrected_here_opens_with_the_time_of_that(page: Page) -> None:
    Stub(page, [entry(300, correction="anomalous", corrected_by="alice", corrected_at="2026-01-01T00:00:00.000+00:00")])
    look(page)
    row = page.locator("#history-rows li").first
    row.get_by_role("button", name="It is normal").click()
    expect(row).to_contain_text("Corrected to normal by you.")
    row.get_by_role("button", name="300.png", exact=True).click()
    expect(page.locator("#record-facts tr", has_text="corrected by")).to_contain_text("11/26/2026")


def test_an_export_that_is_cut_off_is_said_in_a_sentence(page: Page, stub: Stub) -> None:
    look(page)
    failing = "() => Promise.reject(new TypeError('network error'))"
    page.evaluate(f"() => {{ ReadableStreamDefaultReader.prototype.read = {failing}; }}")
    page.get_by_role("button", name="Export CSV").last.click()
    expect(page.locator("#history-status")).to_have_text(
        "The server cannot be reached. Check the network and that it is running."
    )


def test_a_row_of_an_older_server_opens_without_what_was_not_kept(page: Page) -> None:
    old = entry(5, terms=None, has_thumbnail=False, filename=None, threshold=None, is_anomalous=None)
    Stub(page, [old])
    look(page)
    expect(page.locator("#history-rows li")).to_contain_text("◌ no verdict")
    expect(page.get_by_role("group", name="Correct without a name")).to_be_visible()
    page.get_by_role("button", name="without a name").click()
    expect(page.locator("#record-picture")).to_have_text("The server keeps no picture of it.")
    expect(page.locator("#record-terms")).to_contain_text("They were not kept")


def test_an_image_of_the_gallery_is_corrected_where_the_server_keeps_a_history(page: Page, stub: Stub) -> None:
    def with_id(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | {"history_id": 41})

    page.route("**/score?*", with_id)
    drop(page, {"a.png": png(97)})
    finish(page, shown=1)
    tiles(page).first.locator("button").click()
    page.locator("#viewer").get_by_role("button", name="It is normal").click()
    expect(page.locator("#viewer-verdict")).to_have_text("▲ anomalous, corrected to normal")
    page.keyboard.press("Escape")
    expect(tile(page, "a.png")).to_contain_text("anomalous, corrected to normal")
    assert stub.corrections == [("/history/41/correction", {"correction": "normal"})]


def test_without_a_history_nothing_can_be_corrected_and_the_panel_says_why(page: Page) -> None:
    off = {"error": {"code": "history_off", "message": "This server keeps no history."}}
    page.route(re.compile(r"/history\?"), lambda route: route.fulfill(status=404, json=off))
    page.route("**/score?*", lambda route: route.fulfill(json=route.fetch().json() | {"history_id": None}))
    drop(page, {"a.png": png(97)})
    finish(page, shown=1)
    tiles(page).first.locator("button").click()
    expect(page.locator("#viewer-facts")).to_be_visible()
    expect(page.locator("#viewer-correction")).to_be_hidden()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="History").click()
    expect(page.locator("#history-status")).to_have_text("This server keeps no history.")


def drift(**changes: Any) -> dict[str, Any]:
    """What a model tells of its drift: quiet, unless changed."""
    trajectory = [[n, -0.002 * n] for n in range(0, 501, 10)]
    told = {"log10_martingale": -1.0, "max_log10_martingale": 0.3, "alarm": False, "alarm_at": None, "rate": 0.01}
    return told | {"num_scores": 500, "trajectory": trajectory, "window": {"num": 500, "counts": [25] * 20}} | changes


def show_drift(context: BrowserContext, line: Instance, **changes: Any) -> Page:
    context.route("**/models/m/drift", lambda route: route.fulfill(json=drift(**changes)))
    return open_page(context, line, "drift")


def test_a_steady_process_is_drawn_below_the_line_of_alarm(context: BrowserContext, line: Instance) -> None:
    page = show_drift(context, line)
    expect(page.locator("#drift-status")).to_have_text(
        "● No alarm. 500 images watched. The evidence of a change was at most 2; the alarm is at 100."
    )
    expect(page.locator("#drift-histogram .bin")).to_have_count(20)
    curve = page.locator("#drift-martingale .curve").bounding_box()
    alarm = page.locator("#drift-martingale path.alarm").bounding_box()
    assert curve is not None
    assert alarm is not None
    assert curve["y"] > alarm["y"]
    expect(page.locator("#drift-meaning")).to_contain_text("at most 1 %")


def test_an_alarm_is_said_with_its_time_and_crosses_the_line(context: BrowserContext, line: Instance) -> None:
    rising = [[n, 0.01 * n] for n in range(0, 501, 10)]
    page = show_drift(context, line, alarm=True, alarm_at=200, max_log10_martingale=5.0, trajectory=rising)
    expect(page.locator("#drift-status")).to_contain_text("▲ Alarm since image 200")
    curve = page.locator("#drift-martingale .curve").bounding_box()
    alarm = page.locator("#drift-martingale path.alarm").bounding_box()
    assert curve is not None
    assert alarm is not None
    assert curve["y"] < alarm["y"] < curve["y"] + curve["height"]


def test_a_model_that_has_scored_nothing_has_no_drift(context: BrowserContext, line: Instance) -> None:
    page = show_drift(context, line, num_scores=0, trajectory=[], window={"num": 0, "counts": [0] * 20})
    expect(page.locator("#drift-status")).to_contain_text("Nothing scored yet")
