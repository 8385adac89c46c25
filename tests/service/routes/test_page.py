import re
from pathlib import Path

import pytest

from service.routes.page import STATIC
from tests.service.fakes import Instance

KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FILES = sorted(path for path in STATIC.iterdir() if path.suffix != ".html")
PARTS = [("/", "text/html")] + [(f"/static/{path.name}", KINDS[path.suffix]) for path in FILES]
SCRIPTS = [path for path in FILES if path.suffix == ".js"]


@pytest.mark.parametrize(("path", "kind"), PARTS)
def test_the_page_is_served_under_a_strict_policy(instance: Instance, path: str, kind: str) -> None:
    answer = instance.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/static/main.js"])
def test_what_a_browser_has_already_is_not_sent_again(instance: Instance, path: str) -> None:
    """It asks each time, as the page may be that of another version by then."""
    first = instance.client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = instance.client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert instance.client.head(path, headers={"If-None-Match": known}).status_code == 304
    for other in ('"other"', f'{tag[:-2]}"', ""):
        assert instance.client.get(path, headers={"If-None-Match": other}).content == first.content
    assert instance.client.get("/static/page.css", headers={"If-None-Match": "*"}).status_code == 404


@pytest.mark.parametrize("wanted", ["bytes=a-b", "lines=1-2", "bytes=99999999-"])
def test_ranges_are_passed_over(instance: Instance, wanted: str) -> None:
    """They may be (RFC 9110, section 14.2); one that is wrong is no error."""
    answer = instance.client.get("/static/main.js", headers={"Range": wanted})
    assert (answer.status_code, answer.text) == (200, (STATIC / "main.js").read_text())


def test_the_page_needs_nothing_that_its_policy_forbids(instance: Instance) -> None:
    html = instance.client.get("/").text
    assert re.findall(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style", html) == []
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", html) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_module_writes_markup_and_each_is_short(path: Path) -> None:
    script = path.read_text()
    assert (
        re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?:(?!//www.w3.org/2000/svg)", script
        )
        == []
    )
    assert len(script.splitlines()) <= 180
    assert max(map(len, script.splitlines())) <= 120


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..%2fapp.py", "%2e%2e", "page.py", "MAIN.JS", "a%00.js"])
def test_nothing_else_is_served(instance: Instance, name: str) -> None:
    assert instance.client.get(f"/static/{name}").status_code == 404


def test_the_documentation_loads_nothing_from_elsewhere(instance: Instance) -> None:
    html = instance.client.get("/docs").text
    assets = re.findall(r"""(?:src|href)=["']([^"']+)["']""", html)
    assert assets
    for asset in assets:
        assert re.fullmatch(r"[\w-]+/[\w.-]+", asset)  # relative: a proxy may show the page below a path
        assert instance.client.get(f"/{asset}").status_code == 200
    assert "//cdn" not in html
