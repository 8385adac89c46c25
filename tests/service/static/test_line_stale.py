"""The screen for the line shows no old verdict as a new one: where nobody answers, and where nothing is kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service.records.history import History
from tests.service.fakes import Instance, png
from tests.service.static.test_line import a_line, expect_state


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
