"""Names and paths that lead elsewhere: answered with 404, and no file outside the models folder is opened.

Opens are watched by an audit hook, which sees those of C code too. A hook cannot be removed, so it stays and only
listens while it is told to.
"""

import http.client
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from service.app import create_app
from service.settings import Settings
from tests.service.fakes import add_bundle, load_tagged, png, served

OPENING = {
    "open",
    "os.listdir",
    "os.scandir",
    "os.chdir",
    "os.link",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.symlink",
}
_listeners: list[list[str]] = []


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if _listeners and event in OPENING and isinstance(arguments[0], str | bytes | os.PathLike):
        for opened in _listeners:
            opened.append(os.fsdecode(arguments[0]))


@pytest.fixture(scope="module", autouse=True)
def hook() -> None:
    sys.addaudithook(_listen)


@contextmanager
def opens() -> Iterator[list[str]]:
    """What is opened meanwhile, by any thread."""
    opened: list[str] = []
    _listeners.append(opened)
    try:
        yield opened
    finally:
        _listeners.remove(opened)


NAMES = [
    "..", ".", "../m", "../../m", "../outside", "m/..", "m/../m", "m/1", "./m", "m/", "/m", "//m", "///etc/passwd",
    "/etc/passwd", "../../../../etc/passwd", "....//m", "..\\m", "..\\..\\etc\\passwd", "C:\\m", "C:m", "\\\\host\\m",
    "m\0", "\0m", "m\0.json", "\0", "m\n", "m\r\nX: y", "m ", " m", "\tm", "M", "ｍ", "m\u0301", "m\u200b", "\u202em",
    "ⅿ", "․․/m", "‥/m", "é", "🦔", "m" * 5000, "link", "link/1", "link-inside-version", "~", "~root", "$HOME", "${m}",
    "%", "%m", "%2e%2e/m", "%252e%252e%252fm", "*", "?", "m*", "m;", "m'--", "{name}", "file:///etc/passwd", "CON",
    "-m", "None",
]  # fmt: skip
PATHS = [
    "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/models/../../etc/passwd",
    "/models/%2e%2e/%2e%2e/outside/1", "/models/..%5c..%5coutside", "/models/m%00", "/models/%ff%fe", "/models/m%0a",
    "/models/%c0%ae%c0%ae/m", "/models//m", "/models/m/1/manifest.json", "//etc/passwd", "/.git/config", "/app.py",
    "/static/app.py", "/static/../settings.py", "/static/main.js%00", "/static/main.js%2f..%2f..%2fapp.py", "/models/",
    "/static/..%5capp.py", "/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/index.html", "/static/",
]  # fmt: skip
ASSETS = ["../../etc/passwd", "%2e%2e/%2e%2e/core.py", "..%2fcore.py", "/etc/passwd", "%00", "a" * 3000, ""]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[http.client.HTTPConnection, Path]]:
    """A connection to a server of m/1, whose folder has links to bundles outside."""
    root = tmp_path_factory.mktemp("root")
    models = root / "models"
    add_bundle(models, "m")
    add_bundle(root, "outside")
    (models / "link").symlink_to(root / "outside")
    (models / "link-inside-version").mkdir()
    (models / "link-inside-version" / "1").symlink_to(root / "outside" / "1")
    with served(create_app(Settings(models=models, threads=1), load=load_tagged)) as client:
        while client.get("/readyz").status_code != 200:
            pass
        connection = http.client.HTTPConnection("127.0.0.1", client.base_url.port, timeout=20)
        for call in (
            "GET /models/x",
            "GET /static-offline-docs/x",
            "GET /",
            "POST /score?model=x",
            "POST /admin/load?model=m",
        ):
            assert ask(connection, *call.split()) in (200, 404)  # what a first request imports is imported
        yield connection, models
        connection.close()


def ask(connection: http.client.HTTPConnection, method: str, path: str) -> int:
    """The status of an answer to a request for this very path: no client tidies it."""
    connection.request(method, path, png(1) if "score" in path else b"", {"Content-Type": "image/png"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def strangers(opened: list[str], models: Path) -> list[str]:
    """What was opened elsewhere than among the bundles; the links' own names are among them, their targets are not."""
    inside = (models.resolve(), Path("/dev/null"))
    return [path for path in opened if not any(Path(path).resolve().is_relative_to(place) for place in inside)]


@pytest.mark.parametrize("call", ["GET /models/", "POST /score?model=", "POST /admin/unload?version=1&model="])
def test_names_that_lead_elsewhere_are_not_found_and_open_nothing(
    place: tuple[http.client.HTTPConnection, Path], call: str
) -> None:
    connection, _ = place
    method, path = call.split()
    with opens() as opened:
        statuses = {name: ask(connection, method, path + quote(name, safe="")) for name in NAMES}
    assert {name: status for name, status in statuses.items() if status != 404} == {}
    assert opened == []


def test_loading_by_a_name_that_leads_elsewhere_reads_nothing_outside(
    place: tuple[http.client.HTTPConnection, Path],
) -> None:
    connection, models = place
    with opens() as opened:
        for version in ("", "&version=1"):
            for name in NAMES:
                assert ask(connection, "POST", f"/admin/load?model={quote(name, safe='')}{version}") == 404, name
        assert ask(connection, "POST", "/admin/rescan") == 200
    assert len(opened) > len(NAMES)  # each looked through the models folder
    assert strangers(opened, models) == []


def test_paths_that_lead_elsewhere_are_not_found_and_open_nothing(
    place: tuple[http.client.HTTPConnection, Path],
) -> None:
    connection, _ = place
    with opens() as opened:
        paths = PATHS + [f"/static-offline-docs/{name}" for name in ASSETS]
        statuses = {path: ask(connection, "GET", path) for path in paths}
    assert {path: status for path, status in statuses.items() if status not in (404, 405)} == {}
    assert opened == []


def test_the_hook_sees_what_the_server_opens(place: tuple[http.client.HTTPConnection, Path]) -> None:
    connection, models = place
    with opens() as opened:
        assert ask(connection, "GET", "/") == 200
    assert [Path(path).name for path in strangers(opened, models)] == ["index.html"]
