"""What goes wrong is said in sentences, and what passes by itself is waited for."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from service.edge.keys import add_key
from tests.service.edge.test_callers import guarding
from tests.service.fakes import Instance, picture, png
from tests.service.static.conftest import open_page
from tests.service.static.desk import drop, finish, go_offline, tile, tiles, verdicts


def test_an_image_that_is_too_large_broken_or_of_no_kind_says_so_and_its_neighbours_are_scored(page: Page) -> None:
    files = {
        "heavy.png": png(1) + bytes(20_000),
        "wide.png": picture(101, 100),
        "broken.png": png(1)[:40],
        "text.png": b"this is no image",
        "good.png": png(1),
    }
    drop(page, files)
    finish(page, shown=5)
    assert verdicts(page) == {"good.png": "normal"} | dict.fromkeys(list(files)[:4], "failed")
    expect(tile(page, "heavy.png")).to_contain_text("Too large for this server. The body has")  # 413, bytes
    expect(tile(page, "wide.png")).to_contain_text("Too large for this server.")  # 413, pixels
    expect(tile(page, "broken.png")).to_contain_text("This cannot be read as an image.")  # 422
    expect(tile(page, "text.png")).to_contain_text("Not an image format that this server reads.")  # 415
    expect(page.get_by_role("button", name="Try 4 again")).to_be_visible()


def test_a_key_is_asked_for_kept_in_the_tab_and_sent(context: BrowserContext, tmp_path: Path) -> None:
    with guarding(tmp_path) as guarded:
        page = context.new_page()
        page.goto(str(guarded.client.base_url))
        expect(page.get_by_role("alert").first).to_have_text("This server wants a key.")
        expect(page.locator("#key")).to_be_focused()
        page.keyboard.type("no-such-key")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").first).to_contain_text("This server wants a key. This key is not known")
        expired = add_key(guarded.file, "guest", ["score"])
        guarded.file.write_text(f"{guarded.file.read_text().rstrip()}  2020-02-29\n")
        guarded.app.state.refresh()
        page.locator("#key").fill(expired)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").first).to_contain_text(
            "This server wants a key. The key 'guest' has expired: its last day was 2020-02-29 (UTC). Ask those who"
        )
        page.locator("#key").fill(guarded.score)
        page.keyboard.press("Enter")
        expect(page.locator("#model")).to_be_enabled()
        expect(page.locator("#access")).to_be_hidden()
        drop(page, {"a.png": png(3)})
        finish(page, shown=1)
        assert verdicts(page) == {"a.png": "normal"}
        page.reload()
        expect(page.locator("#model")).to_be_enabled()  # the tab still has it
        assert page.evaluate("() => [localStorage.length, document.cookie]") == [0, ""]
        other = context.new_page()
        other.goto(str(guarded.client.base_url))
        expect(other.locator("#access")).to_be_visible()  # another tab has not
        page.get_by_role("button", name="Forget key").click()
        expect(page.locator("#access")).to_be_visible()


@pytest.mark.parametrize("bad", ["{}\u200b", "\u0431{}", "{} {}", " "])
def test_a_key_that_no_header_can_have_is_asked_for_again(context: BrowserContext, tmp_path: Path, bad: str) -> None:
    """Such as one that was copied with a sign of no width. It was called a server that cannot be reached, for ever."""
    with guarding(tmp_path) as guarded:
        page = context.new_page()
        page.goto(str(guarded.client.base_url))
        page.locator("#key").fill(bad.format(guarded.score, guarded.score))
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").first).to_contain_text("This is no key: keys have letters, digits,")
        expect(page.locator("#key")).to_be_focused()
        page.locator("#key").fill(f" {guarded.score}\u2003")
        page.keyboard.press("Enter")
        expect(page.locator("#model")).to_be_enabled()


def test_a_key_without_the_scope_is_told_so(context: BrowserContext, tmp_path: Path) -> None:
    with guarding(tmp_path) as guarded:
        page = context.new_page()
        page.goto(str(guarded.client.base_url))
        page.locator("#key").fill(guarded.admin)
        page.keyboard.press("Enter")
        expect(page.locator("#model")).to_be_enabled()
        drop(page, {"a.png": png(3)})
        expect(tile(page, "a.png")).to_contain_text("This key may not do that. This needs a key with the scope 'score'")


def test_a_key_that_asks_too_often_is_waited_for_as_long_as_the_server_says(
    context: BrowserContext, tmp_path: Path
) -> None:
    with guarding(tmp_path, rate_limit=2.0, rate_burst=4) as guarded:
        page = context.new_page()
        page.goto(str(guarded.client.base_url))
        page.locator("#key").fill(guarded.score)
        page.keyboard.press("Enter")
        expect(page.locator("#model")).to_be_enabled()
        drop(page, {f"{i}.png": png(i) for i in range(6)})
        sentence = re.compile(r"This key asks too often\. The key 'line-3' asks more often .* Trying again in \d s\.")
        expect(page.locator("#trouble")).to_have_text(sentence)
        finish(page, shown=6)
        assert set(verdicts(page).values()) == {"normal"}
        expect(page.locator("#trouble")).to_be_empty()


def test_a_busy_server_is_asked_again_after_the_time_it_names_and_not_by_many_at_once(page: Page) -> None:
    asked: list[Request] = []

    def refuse(route: Route) -> None:
        asked.append(route.request)
        if len(asked) <= 4:
            error = {"code": "overloaded", "message": "The server is busy with 64 images and takes 64; try again soon."}
            route.fulfill(status=503, headers={"Retry-After": "4"}, json={"error": error})
        else:
            route.continue_()

    page.route("**/score?*", refuse)
    drop(page, {f"{i}.png": png(i) for i in range(10)})
    sentence = r"The server is busy\. The server is busy with 64 images .*; try again soon\. Trying again in [2-4] s\."
    expect(page.locator("#trouble")).to_have_text(re.compile(sentence))
    assert len(asked) == 4  # at most so many are on their way, and nobody asks before the time
    finish(page, shown=10)
    assert set(verdicts(page).values()) == {"normal"}
    assert len(asked) == 14


def test_a_server_that_stays_busy_is_given_up_and_can_be_tried_again(page: Page) -> None:
    page.clock.install()
    page.route("**/score?*", lambda route: route.fulfill(status=503, json={"error": {"code": "x", "message": "no."}}))
    drop(page, {"a.png": png(1)})
    for _ in range(400):  # simulated seconds
        page.clock.run_for(1000)
        if "failed" in verdicts_now(page):
            break
    expect(tile(page, "a.png")).to_contain_text("The server is busy. no.")
    page.unroute("**/score?*")
    page.get_by_role("button", name="Try 1 again").click()
    page.clock.resume()
    finish(page, shown=1)
    assert verdicts(page) == {"a.png": "normal"}


def verdicts_now(page: Page) -> list[str]:
    return list(page.locator("#tiles li button").evaluate_all("(all) => all.map((b) => b.dataset.verdict)"))


def test_offline_is_said_and_what_waits_goes_on_when_the_server_is_back(page: Page) -> None:
    go_offline(page)
    drop(page, {"a.png": png(3), "b.png": png(1000)})
    expect(page.locator("#trouble")).to_contain_text("The server cannot be reached. Check the network")
    assert set(verdicts(page).values()) == {"waiting"}
    page.context.set_offline(False)
    finish(page, shown=2)
    assert verdicts(page) == {"b.png": "anomalous", "a.png": "normal"}
    expect(page.locator("#trouble")).to_be_empty()


def test_an_answer_that_is_no_answer_is_not_asked_for_again(page: Page) -> None:
    page.route("**/score?*", lambda route: route.fulfill(body="<html>", content_type="text/html"))
    drop(page, {"a.png": png(1)})
    expect(tile(page, "a.png")).to_contain_text("The server's answer cannot be understood.")


def test_clearing_forgets_what_waits_and_what_is_on_its_way(page: Page, line: Instance) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.extend([request] if "/score" in request.url else []))
    line.detector.gate.clear()
    try:
        drop(page, {f"{i}.png": png(i) for i in range(10)})
        expect(page.locator("#progress-text")).to_have_text("Scored 0 of 10 …")
        page.get_by_role("button", name="Clear all").click()
        expect(tiles(page)).to_have_count(0)
    finally:
        line.detector.gate.set()
    drop(page, {"new.png": png(7)})
    finish(page, shown=1)
    assert verdicts(page) == {"new.png": "normal"}
    assert len(asked) == 4 + 1  # those that were on their way, and the new one


def test_a_page_whose_server_is_gone_says_so(context: BrowserContext, line: Instance) -> None:
    page = open_page(context, line)
    go_offline(page)
    page.get_by_role("link", name="History").click()
    expect(page.locator("#history-status")).to_contain_text("The server cannot be reached.")
    page.get_by_role("link", name="Drift").click()
    expect(page.locator("#drift-status")).to_contain_text("The server cannot be reached.")


def test_a_page_that_opens_while_the_server_is_away_begins_when_it_is_back(
    context: BrowserContext, line: Instance
) -> None:
    page = context.new_page()
    page.route("**/models", lambda route: route.abort())
    page.goto(str(line.client.base_url))
    expect(page.locator("#trouble")).to_contain_text("The server cannot be reached.")
    page.unroute("**/models")
    expect(page.locator("#model")).to_be_enabled()
    expect(page.locator("#trouble")).to_be_empty()
