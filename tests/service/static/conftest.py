"""One browser and one server for the tests of this folder, and a page of its own for each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.service.fakes import Instance, open_instance

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PATIENCE_MS = 30_000  # a busy machine is no mistake


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; `.ci/run` installs it where it can."""
    if not CHROMIUM.exists():
        # skipped, not failed: a browser is no Python package, so `make test` cannot install it
        pytest.skip(f"there is no {CHROMIUM}; install it with: apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A server whose scores are written in the images, with small limits; 99 calibration images score 0 … 98."""
    with open_instance(tmp_path_factory.mktemp("models"), max_upload_bytes=20_000, max_pixels=10_000) as instance:
        yield instance


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser's state of its own; its pages complain of nothing on the console."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    context.on("console", lambda message: complaints.extend(_complaint(message)))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    context.close()
    assert complaints == []


def _complaint(message: ConsoleMessage) -> list[str]:
    """What went wrong, if anything did. The browser itself notes each answer that is no 200; that is none of ours."""
    is_ours = message.type in ("error", "warning") and not message.text.startswith("Failed to load resource")
    return [message.text] if is_ours else []


@pytest.fixture
def page(context: BrowserContext, line: Instance) -> Page:
    """The page, ready to score."""
    return open_page(context, line)


def open_page(context: BrowserContext, instance: Instance, view: str = "") -> Page:
    """The page of a server in a tab of its own."""
    page = context.new_page()
    page.goto(f"{instance.client.base_url}/#{view}")
    page.locator("#model:enabled").wait_for()
    return page
