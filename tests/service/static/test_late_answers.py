"""Answers that come late, after something else was asked for: what was asked last stays on the page."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.service.fakes import add_bundle, open_instance, png
from tests.service.static.conftest import open_page
from tests.service.static.desk import drawn
from tests.service.static.test_history import drift, entry


@pytest.fixture
def page(context: BrowserContext, tmp_path: Path) -> Iterator[Page]:
    """The page of a server with the models `m`, which is chosen, and `other`."""
    add_bundle(tmp_path, "other")
    with open_instance(tmp_path) as instance:
        page = open_page(context, instance)
        page.locator("#model option", has_text="other").wait_for(state="attached")
        yield page
        page.close()


class Held:
    """The first answer to a path is kept back until it is released; the others come at once."""

    def __init__(self, page: Page, path: str, answer: Callable[[Route], dict[str, Any]]) -> None:
        self._page = page
        self._answer = answer
        self._routes: list[Route] = []
        page.route(re.compile(path), self._take)

    def _take(self, route: Route) -> None:
        self._routes.append(route)
        if len(self._routes) > 1:
            route.fulfill(**self._answer(route))

    def expect_asked(self) -> None:
        """Wait until the first question is there."""
        for _ in range(300):
            if self._routes:
                return
            self._page.wait_for_timeout(100)
        raise AssertionError("nothing was asked")

    def release(self) -> None:
        """Give the first answer, and let the page draw what it makes of it."""
        self._routes[0].fulfill(**self._answer(self._routes[0]))
        self._page.wait_for_timeout(300)
        drawn(self._page)


def history(route: Route) -> dict[str, Any]:
    name = "other" if "model=other" in route.request.url else "m"
    rows = [entry(number, filename=f"{number} of {name}") for number in (96, 95)]
    return {"json": {"items": rows, "next": 95}}


def hold_history(page: Page) -> Held:
    """The history is asked for, and has not answered yet."""
    held = Held(page, r"/history\?", history)
    page.get_by_role("link", name="History").click()
    held.expect_asked()
    return held


def card(route: Route) -> dict[str, Any]:
    name = route.request.url.rpartition("/")[2]
    version = {"version": 1, "card": "# A card", "digest": f"of {name}", "detectability": None}
    return {"json": {"current": 1, "versions": [version]}}


def test_the_history_of_the_model_that_was_chosen_last_stands_alone(page: Page) -> None:
    held = hold_history(page)
    page.locator("#model").select_option("other")
    names = page.locator("#history-rows button.open")
    expect(names).to_have_text(["96 of other", "95 of other"])
    held.release()
    assert names.all_inner_texts() == ["96 of other", "95 of other"]
    expect(page.locator("#history-status")).to_be_empty()


def test_the_same_history_asked_for_twice_is_listed_once(page: Page) -> None:
    held = hold_history(page)
    page.locator("#history-filter").get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#history-rows li")).to_have_count(2)
    held.release()
    assert page.locator("#history-rows li").count() == 2


def test_an_export_leaves_the_way_to_earlier_entries(page: Page) -> None:
    page.route("**/history.csv?*", lambda route: route.fulfill(body="id\r\n1\r\n", content_type="text/csv"))
    hold_history(page).release()
    more = page.get_by_role("button", name="Show earlier ones")
    expect(more).to_be_visible()
    with page.expect_download():
        page.get_by_role("button", name="Export CSV").click()
    expect(page.locator("#history-status")).to_be_empty()
    expect(more).to_be_visible()


def test_earlier_entries_can_be_asked_for_again_after_a_failure(page: Page) -> None:
    hold_history(page).release()
    full = {"error": {"code": "history_unavailable", "message": "The disk is full."}}
    page.route(re.compile(r"/history\?.*before="), lambda route: route.fulfill(status=503, json=full), times=1)
    page.get_by_role("button", name="Show earlier ones").click()
    expect(page.locator("#history-status")).to_contain_text("The disk is full.")
    page.get_by_role("button", name="Show earlier ones").click()
    expect(page.locator("#history-rows li")).to_have_count(4)


def test_the_drift_is_that_of_the_model_that_was_chosen_last(page: Page) -> None:
    held = Held(
        page,
        r"/models/\w+/drift$",
        lambda route: {"json": drift(num_scores=111 if "/other/" in route.request.url else 222)},
    )
    page.get_by_role("link", name="Drift").click()
    held.expect_asked()
    page.locator("#model").select_option("other")
    expect(page.locator("#drift-status")).to_contain_text("111 images watched")
    held.release()
    expect(page.locator("#drift-status")).to_contain_text("111 images watched")


def test_an_entry_shows_its_own_picture_only(page: Page) -> None:
    rows = {"items": [entry(96), entry(95)], "next": None}
    page.route(re.compile(r"/history\?"), lambda route: route.fulfill(json=rows))
    picture = {"body": png(1), "content_type": "image/png"}
    page.route("**/thumbnail", lambda route: route.fulfill(**picture))
    page.get_by_role("link", name="History").click()
    expect(page.locator("#history-rows img")).to_have_count(2)
    held = Held(page, r"/history/\d+/thumbnail$", lambda route: picture)
    page.get_by_role("button", name="96.png").click()
    held.expect_asked()
    page.locator("#record-close").click()
    page.get_by_role("button", name="95.png").click()
    expect(page.locator("#record-picture img")).to_have_count(1)
    held.release()
    assert page.locator("#record-picture img").count() == 1


def test_a_model_that_is_chosen_while_the_models_are_read_stays_chosen(page: Page) -> None:
    held = Held(page, r"/models$", lambda route: {"response": route.fetch()})
    page.evaluate("async () => { (await import('./static/models.js')).listModels(); }")
    held.expect_asked()
    page.locator("#model").select_option("other")
    held.release()
    expect(page.locator("#model")).to_have_value("other")


def test_the_card_is_that_of_the_model_that_it_was_asked_for_last(page: Page) -> None:
    held = Held(page, r"/models/(m|other)$", card)
    page.locator("#about").click()
    held.expect_asked()
    page.locator("#card-close").click()
    page.locator("#model").select_option("other")
    page.locator("#about").click()
    expect(page.locator("#card-text")).to_contain_text("digest of other")
    held.release()
    expect(page.locator("#card-text")).to_contain_text("digest of other")
