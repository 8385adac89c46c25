import re

import pytest

from tests.service.fakes import House


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "text/html"), ("/style.css", "text/css"), ("/app.js", "text/javascript")]
)
def test_the_page_is_served_under_a_strict_policy(house: House, path: str, kind: str) -> None:
    answer = house.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_needs_nothing_that_its_policy_forbids(house: House) -> None:
    html = house.client.get("/").text
    assert re.findall(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style", html) == []
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", html) == []


def test_the_script_never_writes_markup(house: House) -> None:
    script = house.client.get("/app.js").text
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script) == []
    assert len(script.splitlines()) <= 200


def test_the_documentation_loads_nothing_from_elsewhere(house: House) -> None:
    html = house.client.get("/docs").text
    assets = re.findall(r"""(?:src|href)=["']([^"']+)["']""", html)
    assert assets
    for asset in assets:
        assert asset.startswith("/")
        assert house.client.get(asset).status_code == 200
    assert "//cdn" not in html
