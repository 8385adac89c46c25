"""The page behind real proxies, under a prefix and a name of its own; and in which words it tells of a refusal."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.service.fakes import png
from tests.service.proxies import NAME, NGINX
from tests.service.static.conftest import CHROMIUM, PATIENCE_MS, QUIET
from tests.service.static.desk import drop, finish, tile, verdicts
from tests.service.test_behind_proxies import DOCUMENTED, PLAIN, SETTINGS, behind


@pytest.fixture(scope="module")
def elsewhere(browser: Browser) -> Iterator[Browser]:
    """A browser for which plant.example is this machine."""
    assert browser  # it is there, and Playwright runs
    resolving = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
    found = browser.browser_type.launch(executable_path=CHROMIUM, args=[*QUIET, resolving])
    yield found
    found.close()


def opened(browser: Browser, url: str) -> Page:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    page.locator("#model:enabled").wait_for()
    return page


@pytest.mark.parametrize("program", DOCUMENTED, ids=["nginx", "haproxy"])
def test_the_page_and_the_documentation_work_under_the_prefix(elsewhere: Browser, tmp_path: Path, program: str) -> None:
    with behind(program, DOCUMENTED[program], tmp_path, history=tmp_path / "history.sqlite", **SETTINGS) as (client, _):
        page = opened(elsewhere, f"http://{client.headers['Host']}/anomaly")  # and is redirected to /anomaly/
        drop(page, {"a.png": png(300), "b.png": png(3)})
        finish(page, shown=2)
        assert verdicts(page) == {"a.png": "anomalous", "b.png": "normal"}
        page.get_by_role("link", name="History").click()
        expect(page.locator("#history").get_by_text("a.png").first).to_be_visible()
        page.goto(f"http://{client.headers['Host']}/anomaly/docs")
        expect(page.locator(".opblock").first).to_be_visible()
        page.close()


def test_a_refused_page_says_who_refused_it_and_what_to_change(elsewhere: Browser, tmp_path: Path) -> None:
    with behind(NGINX, PLAIN, tmp_path) as (client, _):
        page = opened(elsewhere, f"http://{client.headers['Host']}/")
        drop(page, {"a.png": png(3)})
        refused = tile(page, "a.png")
        expect(refused).to_contain_text("The server does not know this page's address as its own.")
        expect(refused).to_contain_text(f"--allowed-hosts {client.headers['Host']}")
        page.close()


def test_what_the_proxy_itself_refuses_is_not_said_of_the_server(elsewhere: Browser, tmp_path: Path) -> None:
    small = PLAIN.replace("listen 80;", "listen 80; client_max_body_size 1k;")
    with behind(NGINX, small, tmp_path) as (client, _):
        page = opened(elsewhere, f"http://{client.headers['Host']}/")
        drop(page, {"large.png": png(3) + bytes(5000)})
        expect(tile(page, "large.png")).to_contain_text("A proxy in front of the server takes no file of this size.")
        page.close()
