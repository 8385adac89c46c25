"""The screen for the line: good or bad, and what is neither looks like neither."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, Route, expect

from anomaly.inference import Detector
from service.app import create_app
from service.settings import Settings
from tests.service.fakes import Instance, add_bundle, load_tagged, open_instance, png, served
from tests.service.static.desk import go_offline

SIGNS = """(all) => all.filter((each) => getComputedStyle(each).display !== "none")
  .map((each) => each.getAttribute("class"))"""
GREEN, RED = "rgb(142, 227, 171)", "rgb(161, 18, 18)"


@contextmanager
def a_line(context: BrowserContext, folder: Path, **settings: Any) -> Iterator[tuple[Instance, Page]]:
    """A server with a history, and its screen."""
    with open_instance(folder / "models", history=folder / "history.sqlite", **settings) as instance:
        page = context.new_page()
        page.goto(f"{instance.client.base_url}/?model=m#line")
        yield instance, page
        page.close()


@pytest.fixture
def lined(context: BrowserContext, tmp_path: Path) -> Iterator[tuple[Instance, Page]]:
    with a_line(context, tmp_path) as found:
        yield found


def give(page: Page, data: bytes, name: str = "given.png") -> None:
    page.set_input_files("#files", FilePayload(name=name, mimeType="image/png", buffer=data))


def expect_state(page: Page, state: str, word: str) -> None:
    expect(page.locator("#line")).to_have_attribute("data-state", state)
    expect(page.locator("#line-word")).to_have_text(word)
    assert page.locator("#line .sign path").evaluate_all(SIGNS) == ["failed" if state == "lost" else state]


def test_it_says_what_the_line_sent_last(lined: tuple[Instance, Page]) -> None:
    line, page = lined
    expect_state(page, "waiting", "Waiting")
    for tag, state, word, colour in ((3, "good", "Good", GREEN), (1000, "bad", "Bad", RED), (4, "good", "Good", GREEN)):
        assert line.score(png(tag), part=f"A-{tag}", name="camera.png").json()["history_id"]
        expect_state(page, state, word)
        expect(page.locator("#line")).to_have_css("background-color", colour)
        expect(page.locator("#line-name")).to_have_text(f"A-{tag} · camera.png")
    for beside in ("body > header", "body > footer", "nav"):
        expect(page.locator(beside).first).to_be_hidden()
    page.reload()
    expect_state(page, "good", "Good")  # the last one is still the last
    line.score(png(1000), alpha=0.005)  # of 99 normal images none is beyond that rate
    expect_state(page, "none", "No verdict")
    page.get_by_role("link", name="Leave").click()
    expect(page.locator("#inspect")).to_be_visible()


def test_other_models_images_are_not_shown(context: BrowserContext, tmp_path: Path) -> None:
    add_bundle(tmp_path / "models", "other")
    with a_line(context, tmp_path, default_model="m") as (line, page):
        line.score(png(3))
        expect_state(page, "good", "Good")
        line.score(png(1000), model="other")
        line.score(png(4), name="mine.png")
        expect(page.locator("#line-name")).to_have_text("mine.png")
        expect_state(page, "good", "Good")
        page.goto(f"{line.client.base_url}/?model=other")
        expect(page.locator("#model")).to_have_value("other")
        page.get_by_role("link", name="Line screen").click()
        expect_state(page, "bad", "Bad")


def test_it_takes_images_itself_and_says_why_one_was_not_scored(lined: tuple[Instance, Page]) -> None:
    _, page = lined
    give(page, png(3))
    expect_state(page, "good", "Good")
    expect(page.locator("#line-name")).to_have_text("given.png")
    give(page, b"broken", "broken.png")
    expect_state(page, "failed", "Not scored")
    expect(page.locator("#line-why")).to_contain_text("Not an image format that this server reads. broken.png")
    page.wait_for_timeout(2500)  # the history's newest is still the good one, and does not come back
    expect_state(page, "failed", "Not scored")
    give(page, png(1000), "worse.png")
    expect_state(page, "bad", "Bad")


def test_a_lost_connection_is_neither_good_nor_bad_and_ends_by_itself(
    context: BrowserContext, lined: tuple[Instance, Page]
) -> None:
    line, page = lined
    line.score(png(3))
    expect_state(page, "good", "Good")
    go_offline(page)
    expect_state(page, "lost", "No connection")
    expect(page.locator("#line-why")).to_contain_text("The server cannot be reached.")
    line.score(png(1000), name="meanwhile.png")
    context.set_offline(False)
    expect_state(page, "bad", "Bad")
    expect(page.locator("#line-name")).to_have_text("meanwhile.png")

    def away(route: Route) -> None:
        route.fulfill(status=503, json={"error": {"code": "history_unavailable", "message": "The disk is full."}})

    page.route("**/history?*", away)
    expect_state(page, "none", "No verdict")
    expect(page.locator("#line-why")).to_contain_text("The disk is full.")
    page.unroute("**/history?*")
    expect_state(page, "bad", "Bad")


def test_the_part_and_the_name_are_whole_and_large(context: BrowserContext, lined: tuple[Instance, Page]) -> None:
    line, page = lined
    page.set_viewport_size({"width": 1280, "height": 800})
    line.score(png(3), part="lot 123456789 " * 8 + "part 17", name="a long name of a camera's file " * 4 + ".png")
    expect_state(page, "good", "Good")
    name = page.locator("#line-name")
    assert name.evaluate(
        "(each) => each.scrollWidth <= each.clientWidth && parseFloat(getComputedStyle(each).fontSize) >= 24"
    )


def test_without_a_history_it_judges_what_is_given_to_it(context: BrowserContext, line: Instance) -> None:
    page = context.new_page()
    page.goto(f"{line.client.base_url}/#line")
    expect_state(page, "waiting", "Waiting")
    expect(page.locator("#line-why")).to_contain_text("This server keeps no history")
    give(page, png(1000))
    expect_state(page, "bad", "Bad")
    go_offline(page)
    give(page, png(3))
    expect_state(page, "lost", "No connection")
    context.set_offline(False)
    expect_state(page, "good", "Good")
    page.get_by_role("link", name="Leave").click()
    expect(page.locator("#workbench")).to_be_hidden()  # nothing is kept


def test_it_is_used_by_keys(lined: tuple[Instance, Page]) -> None:
    line, page = lined
    line.score(png(3))
    expect_state(page, "good", "Good")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose an image")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.fullscreenElement?.id === 'line'")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#inspect")).to_be_visible()
    page.wait_for_function("() => document.fullscreenElement === null")


def test_a_screen_that_starts_before_its_server_waits_for_it(
    context: BrowserContext, lined: tuple[Instance, Page]
) -> None:
    line, _ = lined
    line.score(png(3))
    page = context.new_page()
    page.route("**/models", lambda route: route.abort())
    page.goto(f"{line.client.base_url}/#line")
    expect_state(page, "lost", "No connection")
    page.unroute("**/models")
    expect_state(page, "good", "Good")


@pytest.mark.parametrize(("query", "settings"), [("?model=m", {}), ("", {"default_model": "m"})])
def test_while_its_model_is_loaded_it_waits_and_then_judges_what_it_was_given(
    context: BrowserContext, tmp_path: Path, query: str, settings: dict[str, Any]
) -> None:
    """Another model is there before, and has no part in it."""
    may_go = Event()

    def load(path: Path) -> Detector:
        assert path.parent.name != "m" or may_go.wait(60)
        return load_tagged(path)

    for name in ("a", "m"):
        add_bundle(tmp_path / "models", name)
    app = create_app(Settings(models=tmp_path / "models", threads=1, **settings), load=load)
    with served(app) as client:
        try:
            page = context.new_page()
            page.goto(f"{client.base_url}/{query}#line")
            expect_state(page, "waiting", "Waiting")
            with page.expect_response(lambda response: '"loaded"' in response.text() and "/models" in response.url):
                pass  # the other one is there
            give(page, png(3), "early.png")
            give(page, png(1000), "last.png")
            expect(page.locator("#line-why")).to_have_text("It is judged as soon as the model is loaded.")
        finally:
            may_go.set()
        expect_state(page, "bad", "Bad")
        expect(page.locator("#line-name")).to_have_text("last.png")
        expect(page.locator("#line-model")).to_have_text("m")
        scored = client.get("/metrics").text
        assert 'anomaly_images_total{model="m",verdict="normal",version="1"} 1.0' in scored
        of_the_other = [line for line in scored.splitlines() if line.startswith('anomaly_images_total{model="a"')]
        assert [line.split()[-1] for line in of_the_other] == ["0.0"] * 2  # a series for each verdict
        page.close()


def test_an_answer_that_was_asked_for_before_an_image_was_given_does_not_follow_it(
    lined: tuple[Instance, Page],
) -> None:
    line, page = lined
    line.score(png(3), name="camera.png")
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    address = page.url
    page.goto("about:blank")
    page.route("**/history?*", hold_the_first)
    page.goto(address)
    page.wait_for_function("() => document.querySelector('#line-model').textContent")
    while not held:
        page.wait_for_timeout(20)
    early = held[0].fetch()
    page.evaluate(
        """() => {
          window.shown = [];
          const name = document.querySelector("#line-name");
          new MutationObserver(() => window.shown.push(name.textContent)).observe(name, { childList: true });
        }"""
    )
    give(page, png(1000))
    expect(page.locator("#line-name")).to_have_text("given.png")
    with page.expect_response("**/history?*"):
        held[0].fulfill(response=early)
    with page.expect_response("**/history?*"):
        pass  # the next one
    expect_state(page, "bad", "Bad")
    assert page.evaluate("() => window.shown").count("camera.png") == 0


WAKE_LOCK = """
  window.locks = [];
  Object.defineProperty(navigator, "wakeLock", { value: { request: async () => {
    const lock = { isReleased: false, release: () => { lock.isReleased = true; } };
    window.locks.push(lock);
    return lock;
  } } });
"""


def test_the_screen_is_kept_awake_again_after_the_tab_was_hidden(context: BrowserContext, tmp_path: Path) -> None:
    """A browser takes the lock back by itself when a tab is hidden."""
    context.add_init_script(WAKE_LOCK)
    with a_line(context, tmp_path) as (_, page):
        expect_state(page, "waiting", "Waiting")
        before = page.evaluate("() => window.locks.length")
        page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_function("(before) => window.locks.length === before + 1", arg=before)
        page.get_by_role("link", name="Leave").click()
        page.wait_for_function("() => window.locks.every((lock) => lock.isReleased)")
