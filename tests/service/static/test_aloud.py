"""What a screen reader reads aloud: why there is a wait, once; not the seconds, nor the same text again."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.service.fakes import Instance, open_instance, png
from tests.service.static.desk import drop, finish, slide

LISTEN = """() => {
  window.read = [];
  const textOf = (node) => node.nodeType === Node.TEXT_NODE ? node.textContent
    : node.ariaHidden === "true" || node.hidden ? "" : [...node.childNodes].map(textOf).join("");
  new MutationObserver((all) => {
    const regions = new Set();
    for (const { target } of all) {
      const element = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
      const region = element?.closest("[role=alert], [role=status], [aria-live]");
      if (region && !element.closest("[aria-hidden=true]")) regions.add(region);
    }
    for (const region of regions) window.read.push(textOf(region).replace(/\\s+/g, " ").trim());
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def read_aloud(page: Page) -> list[str]:
    return [text for text in page.evaluate("() => window.read") if text]


def busy(times: int, seconds: int) -> Callable[[Route], None]:
    left = [times]

    def refuse(route: Route) -> None:
        if left[0]:
            left[0] -= 1
            error = {"code": "overloaded", "message": "It has enough to do."}
            route.fulfill(status=503, headers={"Retry-After": str(seconds)}, json={"error": error})
        else:
            route.continue_()

    return refuse


def test_why_a_busy_server_is_waited_for_is_read_once(page: Page) -> None:
    page.evaluate(LISTEN)
    page.route("**/score?*", busy(2, 3))
    drop(page, {"a.png": png(3)})
    for second in (3, 2, 1):
        expect(page.locator("#trouble")).to_have_text(re.compile(rf"Trying again in {second} s\."))
    finish(page, shown=1)
    expect(page.locator("#trouble")).to_be_empty()
    assert read_aloud(page) == ["The server is busy. It has enough to do. Trying again"]


def test_why_no_image_has_a_verdict_is_read_once_however_many_come(page: Page) -> None:
    drop(page, {"first.png": png(3)})
    finish(page, shown=1)
    page.evaluate(LISTEN)
    slide(page, 0)  # 0.1 %, for which 99 calibration images are too few
    expect(page.locator("#alpha-shortage")).not_to_be_empty()
    drop(page, {f"{i}.png": png(i) for i in range(8)})
    finish(page, shown=9)
    assert len([text for text in read_aloud(page) if text.startswith("No verdict")]) == 1


def test_the_line_screen_reads_why_it_waits_once(context: BrowserContext, tmp_path: Path) -> None:
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as instance:
        page = context.new_page()
        page.goto(f"{instance.client.base_url}/#line")
        expect(page.locator("#line-word")).to_have_text("Waiting")
        page.evaluate(LISTEN)
        page.route("**/score?*", busy(1, 3))
        page.set_input_files("#files", {"name": "a.png", "mimeType": "image/png", "buffer": png(1000)})
        for second in (3, 2, 1):
            expect(page.locator("#line-why")).to_have_text(re.compile(rf"Trying again in {second} s\."))
        expect(page.locator("#line-word")).to_have_text("Bad")
        waits = [text for text in read_aloud(page) if "busy" in text]
        assert waits == ["Waiting The server is busy. It has enough to do. Trying again"]
        page.close()


def test_the_line_screen_says_once_that_the_connection_is_lost(page: Page, line: Instance) -> None:
    page.route("**/models", lambda route: route.abort())
    page.goto("about:blank")
    page.goto(f"{line.client.base_url}/#line")
    expect(page.locator("#line-word")).to_have_text("No connection")
    page.evaluate(LISTEN)
    for _ in range(2):
        with page.expect_request("**/models"):
            pass
    assert read_aloud(page) == []
