"""A server that never answers: an image waits for longer than the server may take, but not for ever."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from service.records.history import History
from service.routes.history import CSV_ROWS
from tests.service.fakes import Instance, open_instance, png
from tests.service.static.conftest import open_page
from tests.service.static.desk import drop, finish, tile, verdicts
from tests.service.static.test_line import expect_state, give

RECEIVE_S, DEADLINE_S = 200, 400
QUICK = """
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  window.limits = [];
  AbortSignal.timeout = (ms) => {
    if (ms > 30_000) window.limits.push(ms);
    return timeout(ms > 30_000 ? 1000 : ms);
  };
"""
"""Notes the long limits, and lets each be over after a second."""
BY_HAND = """
  const [begin, end] = [setTimeout, clearTimeout];
  window.silences = [];
  window.setTimeout = (work, ms, ...rest) => (ms === 30_000 ? -window.silences.push(work) : begin(work, ms, ...rest));
  window.clearTimeout = (id) => (id < 0 ? delete window.silences[-id - 1] : end(id));
"""
"""Lets the test say when the server has been silent for too long."""


@pytest.fixture
def patient(context: BrowserContext, tmp_path: Path) -> Iterator[Instance]:
    """A server that may take long, in a browser whose clock does not."""
    context.add_init_script(QUICK)
    with open_instance(tmp_path, receive_limit_s=RECEIVE_S, deadline_s=DEADLINE_S) as instance:
        yield instance


def be_silent(page: Page, name: str) -> list[Route]:
    """Answer nothing to what is sent of this name; returns what was sent."""
    unanswered: list[Route] = []

    def take(route: Route) -> None:
        if name.encode() in (route.request.post_data_buffer or b""):
            unanswered.append(route)
        else:
            route.continue_()

    page.route("**/score?*", take)
    return unanswered


def limits(page: Page) -> list[float]:
    found: list[float] = page.evaluate("() => window.limits")
    return found


def test_an_image_that_is_not_answered_is_given_up_and_can_be_tried_again(
    context: BrowserContext, patient: Instance
) -> None:
    page = open_page(context, patient)
    unanswered = be_silent(page, "silent.png")
    drop(page, {"silent.png": png(1), "other.png": png(2)})
    finish(page, shown=2)
    assert verdicts(page) == {"silent.png": "failed", "other.png": "normal"}
    expect(tile(page, "silent.png")).to_contain_text("The server does not answer.")
    assert len(unanswered) == 2  # each of which the server may have scored
    assert min(limits(page)) > 1000 * (RECEIVE_S + DEADLINE_S)
    page.unroute("**/score?*")
    page.get_by_role("button", name="Try 1 again").click()
    finish(page, shown=2)
    assert verdicts(page) == {"silent.png": "normal", "other.png": "normal"}
    page.close()


def test_the_line_screen_says_that_an_image_was_not_scored(context: BrowserContext, patient: Instance) -> None:
    page = context.new_page()
    page.goto(f"{patient.client.base_url}/#line")
    expect_state(page, "waiting", "Waiting")
    be_silent(page, "silent.png")
    give(page, png(1), "silent.png")
    expect_state(page, "failed", "Not scored")
    expect(page.locator("#line-why")).to_contain_text("The server does not answer.")
    assert min(limits(page)) > 1000 * (RECEIVE_S + DEADLINE_S)
    give(page, png(1), "other.png")
    expect_state(page, "good", "Good")
    page.close()


def test_the_time_to_type_a_key_is_not_the_servers(context: BrowserContext, patient: Instance) -> None:
    page = open_page(context, patient)
    refused = {"error": {"code": "key_missing", "message": "There is no key."}}
    page.route("**/score?*", lambda route: route.fulfill(status=401, json=refused), times=1)
    drop(page, {"a.png": png(1)})
    expect(page.locator("#key")).to_be_focused()
    page.wait_for_timeout(1500)
    page.keyboard.type("a-key")
    page.keyboard.press("Enter")
    finish(page, shown=1)
    assert verdicts(page) == {"a.png": "normal"}
    page.close()


@pytest.fixture
def kept(context: BrowserContext, tmp_path: Path) -> Iterator[Instance]:
    """A server with a history of more than one piece, in a browser whose silences end by hand."""
    context.add_init_script(BY_HAND)
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite", max_files=600) as instance:
        instance.batch(*[png(1)] * (CSV_ROWS + 1)).raise_for_status()
        yield instance


def export(page: Page) -> None:
    page.get_by_role("link", name="History").click()
    expect(page.locator("#history-rows li")).to_have_count(50)
    page.get_by_role("button", name="Export CSV").click()


def fall_silent(page: Page, *, after: int) -> None:
    """Wait until something has come so often; then nothing more comes. No earlier limit may be left."""
    page.wait_for_function("(num) => window.silences.length > num", arg=after)
    end = "() => { const num = Object.keys(window.silences).length; window.silences.at(-1)(); return num; }"
    assert page.evaluate(end) == 1


def test_a_download_that_never_begins_is_given_up(context: BrowserContext, kept: Instance) -> None:
    page = open_page(context, kept)
    page.route("**/history.csv*", lambda route: None)
    export(page)
    expect(page.locator("#history-status")).to_have_text("Looking …")
    fall_silent(page, after=0)
    expect(page.locator("#history-status")).to_contain_text("The server does not answer.")
    page.close()


def test_a_download_may_take_long_but_is_given_up_when_nothing_more_comes(
    context: BrowserContext, kept: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(context, kept)
    read, may_go = History.read, threading.Event()

    async def held(self: History, work: Callable[..., Any], **limits: Any) -> Any:
        if getattr(work, "keywords", {}).keys() == {"before"}:  # what comes after the first rows of the CSV
            while not may_go.is_set():
                await asyncio.sleep(0.01)
        return await read(self, work, **limits)

    monkeypatch.setattr(History, "read", held)
    export(page)
    fall_silent(page, after=1)
    expect(page.locator("#history-status")).to_contain_text("The server does not answer.")
    may_go.set()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export CSV").click()
    assert saved.value.path().read_text().count("\n") == 1 + CSV_ROWS + 1
    expect(page.locator("#history-status")).to_have_text("")
    assert page.evaluate("() => Object.keys(window.silences).length") == 0
    page.close()


def test_the_time_to_type_a_key_is_not_a_downloads(context: BrowserContext, kept: Instance) -> None:
    page = open_page(context, kept)
    refused = {"error": {"code": "key_missing", "message": "There is no key."}}
    page.route("**/history.csv*", lambda route: route.fulfill(status=401, json=refused), times=1)
    export(page)
    expect(page.locator("#key")).to_be_focused()
    page.evaluate("() => window.silences.forEach((work) => work())")
    page.keyboard.type("a-key")
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert saved.value.path().read_text().count("\n") == 1 + CSV_ROWS + 1
    page.close()
