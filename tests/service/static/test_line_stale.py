"""The screen for the line shows no old verdict as a new one: where nobody answers, and where nothing is kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service.records.history import History
from tests.service.fakes import Instance, open_instance, png
from tests.service.static.test_line import a_line, expect_state, give


@pytest.fixture
def good(context: BrowserContext, tmp_path: Path) -> Iterator[tuple[Instance, Page]]:
    """A server with a history, and its screen, which shows that the last image is good."""
    with a_line(context, tmp_path) as (line, page):
        line.score(png(3))
        expect_state(page, "good", "Good")
        yield line, page


def test_a_server_that_is_silent_is_no_longer_believed(good: tuple[Instance, Page]) -> None:
    """It may hang, or a cable is out: no answer comes, and no error either."""
    _, page = good
    page.route("**/history?*", lambda route: None)
    expect_state(page, "lost", "No connection")
    expect(page.locator("#line-why")).to_contain_text("The server does not answer.")
    page.unroute("**/history?*")
    expect_state(page, "good", "Good")


def test_a_verdict_does_not_stay_while_the_server_cannot_keep_the_next_ones(
    good: tuple[Instance, Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no room")

    line, page = good
    with monkeypatch.context() as patch:
        patch.setattr(History, "_insert", full)
        assert line.score(png(1000), name="bad.png").json()["history_id"] is None
        expect_state(page, "none", "No verdict")
        expect(page.locator("#line-why")).to_contain_text("is not kept, so it does not appear here: no room")
    with monkeypatch.context() as patch:
        patch.setattr("service.records.history.writer.time.monotonic", lambda: float("inf"))
        line.score(png(1000), name="next.png")
    expect_state(page, "bad", "Bad")
    expect(page.locator("#line-name")).to_have_text("next.png")


def test_a_verdict_does_not_stay_when_its_model_is_taken_from_the_server(good: tuple[Instance, Page]) -> None:
    line, page = good
    assert line.client.post("/admin/unload?model=m&version=1").status_code == 204
    expect_state(page, "none", "No verdict")
    expect(page.locator("#line-why")).to_contain_text("The model m is not on this server.")
    assert line.client.post("/admin/load?model=m&version=1").status_code == 200
    expect_state(page, "good", "Good")
    line.score(png(1000))
    expect_state(page, "bad", "Bad")


@pytest.mark.parametrize(
    ("status", "why"), [("failed", "The model m could not be loaded."), ("loading", "The model m is being loaded.")]
)
def test_a_verdict_does_not_stay_while_its_models_current_version_cannot_answer(
    good: tuple[Instance, Page], status: str, why: str
) -> None:
    """As after a restart of the server, whose history still has the last verdict of the version before."""
    line, page = good
    listed = line.client.get("/models").json()
    newer = listed["models"][0]["versions"][0] | {"version": 2, "status": status}
    listed["models"][0]["versions"].append(newer)
    listed["models"][0]["current"] = 2
    page.route("**/models", lambda route: route.fulfill(json=listed))
    expect_state(page, "none", "No verdict")
    expect(page.locator("#line-why")).to_contain_text(why)
    page.unroute("**/models")
    expect_state(page, "good", "Good")


def test_without_a_history_too_a_verdict_does_not_stay_when_its_model_is_gone(
    context: BrowserContext, tmp_path: Path
) -> None:
    with open_instance(tmp_path) as line:
        page = context.new_page()
        page.goto(f"{line.client.base_url}/#line")
        expect_state(page, "waiting", "Waiting")
        give(page, png(3))
        expect_state(page, "good", "Good")
        assert line.client.post("/admin/unload?model=m&version=1").status_code == 204
        expect_state(page, "none", "No verdict")
        assert line.client.post("/admin/load?model=m&version=1").status_code == 200
        expect_state(page, "waiting", "Waiting")
        give(page, png(1000))
        expect_state(page, "bad", "Bad")
        page.close()


def test_a_screen_of_a_server_without_any_model_says_so_and_begins_with_the_first(
    context: BrowserContext, good: tuple[Instance, Page]
) -> None:
    line, shown = good
    shown.close()
    assert line.client.post("/admin/unload?model=m&version=1").status_code == 204
    for query, why in (("", "There is no model on this server."), ("?model=m", "The model m is not on this server.")):
        page = context.new_page()
        page.goto(f"{line.client.base_url}/{query}#line")
        expect_state(page, "none", "No verdict")
        expect(page.locator("#line-why")).to_contain_text(why)
    assert line.client.post("/admin/load?model=m&version=1").status_code == 200
    for page in context.pages:
        expect_state(page, "good", "Good")
        expect(page.locator("#line-model")).to_have_text("m")
