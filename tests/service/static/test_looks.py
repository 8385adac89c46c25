"""Both themes at two widths: nothing wider than the window, and nothing serious for axe."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.bundle.records import make_record
from tests.service.fakes import Instance, png
from tests.service.static.conftest import open_page
from tests.service.static.desk import drop, finish, tiles
from tests.service.static.test_detectability import with_detectability
from tests.service.static.test_history import Stub, drift, entry

LOOKS = [(width, theme) for width in (1280, 390) for theme in ("light", "dark")]
LONG = "a-name-that-is-much-longer-than-any-tile-is-wide-" * 4 + ".png"
ENTRIES = [entry(300, filename=LONG), entry(7, correction="normal", corrected_by="line-3")]
BESIDE = """async () => {
  const { desk } = await import("./static/desk.js");
  desk.look({ models: ["m", "another-model-with-a-long-name"] });
}"""
VIEWS = ["empty", "gallery", "viewer", "card", "cleared", "compare", "history", "record", "drift", "line", "key"]


@pytest.fixture(params=LOOKS, ids=[f"{width}-{theme}" for width, theme in LOOKS])
def looked_at(
    browser: Browser, line: Instance, bigan_dir: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Page]:
    """A page of this look; its policy is off, as axe is a script from elsewhere."""
    width, theme = request.param
    monkeypatch.setattr(line.detector, "hottest", 0.8)  # so that its strongest place is boxed
    told = with_detectability(line.detector.bundle, make_record(), bigan_dir)
    monkeypatch.setattr(line.detector, "bundle", told)  # so that its card has every part
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=theme, bypass_csp=True)
    page = open_page(context, line)
    page.route("**/models/m/drift", lambda route: route.fulfill(json=drift()))
    yield page
    context.close()


def show(page: Page, view: str) -> None:
    """Bring the page to a state, from the one before it in VIEWS."""
    match view:
        case "gallery":
            page.route("**/score?*", lambda route: route.fulfill(json=route.fetch().json() | {"history_id": 1}))
            drop(page, {LONG: png(1000), "b.png": png(3), "c.png": b"broken"})
            tiles(page).first.scroll_into_view_if_needed()  # in a narrow window the tiles may begin below it
            finish(page, shown=3)
        case "viewer":
            tiles(page).first.locator("button").click()
            page.get_by_text("The evidence behind the score").click()
            expect(page.locator("#viewer-correction")).to_be_visible()
        case "card":
            page.keyboard.press("Escape")
            page.get_by_role("button", name="About it").click()
            expect(page.locator("#card .digest")).to_be_visible()
        case "cleared":
            page.keyboard.press("Escape")
            page.get_by_role("button", name="Clear all").click()
            expect(page.locator("#cleared")).to_be_visible()
        case "compare":
            page.get_by_role("button", name="Undo").click()
            page.evaluate(BESIDE)
            expect(tiles(page).first.locator(".column")).to_have_count(3)
        case "history":
            Stub(page, ENTRIES)
            page.get_by_role("link", name="History").click()
            expect(page.locator("#history-rows li")).to_have_count(2)
        case "record":
            page.locator("#history-rows .open").first.click()
            expect(page.locator("#record-terms")).to_contain_text("residual")
            expect(page.locator("#record-picture img")).to_be_visible()
        case "drift":
            page.keyboard.press("Escape")
            page.get_by_role("link", name="Drift").click()
            expect(page.locator("#drift-histogram .bin")).to_have_count(20)
        case "line":
            page.unroute_all()
            page.evaluate("() => { location.hash = 'line'; }")
            page.set_input_files("#files", FilePayload(name=LONG, mimeType="image/png", buffer=png(1000)))
            expect(page.locator("#line[data-state=bad] #line-time")).not_to_be_empty()
            page.evaluate("() => Promise.all(document.getAnimations().map((blink) => blink.finished))")
        case "key":
            refusal = {"error": {"code": "unauthenticated", "message": "This needs a key."}}
            page.route("**/models", lambda route: route.fulfill(status=401, json=refusal))
            page.goto(page.url.partition("#")[0])
            page.reload()
            expect(page.locator("#access")).to_be_visible()


def test_it_fits_the_window_and_axe_finds_nothing_serious(looked_at: Page) -> None:
    findings: dict[str, list[tuple[str, list[str]]]] = {}
    for view in VIEWS:
        show(looked_at, view)
        widths = looked_at.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert widths[0] <= widths[1], view
        violations = Axe().run(looked_at).response["violations"]
        findings[view] = [describe(violation) for violation in violations if is_serious(violation)]
    assert findings == {view: [] for view in VIEWS}


def is_serious(violation: dict[str, Any]) -> bool:
    return violation["impact"] in ("serious", "critical")


def describe(violation: dict[str, Any]) -> tuple[str, list[str]]:
    """Its rule, and the elements it was found in."""
    return violation["id"], [node["html"][:200] for node in violation["nodes"]]
