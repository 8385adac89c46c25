"""A path prefix that a proxy passes on, or has stripped already."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts

from anomaly.errors import UsageError
from service.app import create_app
from service.settings import OWN_PATHS, Settings, read_settings
from tests.service.fakes import Instance, add_bundle, load_tagged, open_instance, png


@pytest.fixture
def prefixed(tmp_path: Path) -> Iterator[Instance]:
    with open_instance(tmp_path, root_path="/plants/a-1") as instance:
        yield instance


@pytest.mark.parametrize("prefix", ["", "/plants/a-1"])
def test_calls_page_and_documentation_answer_with_the_prefix_and_without(prefixed: Instance, prefix: str) -> None:
    ask = prefixed.client
    assert ask.post(f"{prefix}/score", content=png(7), headers={"Content-Type": "image/png"}).json()["score"] == 7.0
    for path, kind in (("", "text/html"), ("static/main.js", "text/javascript"), ("docs", "text/html")):
        assert ask.get(f"{prefix}/{path}").headers["Content-Type"].startswith(kind)
    assert ask.get(f"{prefix}/static-offline-docs/swagger-ui.css").status_code == 200
    assert ask.get(f"{prefix}/openapi.json").json()["servers"] == [{"url": "/plants/a-1"}]
    assert ask.get(f"{prefix}/models/m").json()["name"] == "m"
    assert ask.get(f"{prefix}/nowhere").status_code == 404


def test_the_prefix_alone_is_redirected_to_the_page(prefixed: Instance) -> None:
    answer = prefixed.client.get("/plants/a-1")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/plants/a-1/")
    for longer in ("/plants/a-12", "/plants/a-1x/score"):
        assert prefixed.client.get(longer).status_code == 404


@pytest.mark.parametrize("query", ["model=x", "model=a%20b&note=%C3%BC%26%0D%0Ax:%20y", "a=1?b=2"])
def test_the_redirect_keeps_the_query(prefixed: Instance, query: str) -> None:
    answer = prefixed.client.get(f"/plants/a-1?{query}")
    assert (answer.status_code, answer.headers["Location"]) == (308, f"/plants/a-1/?{query}")


def test_load_shedding_knows_the_prefix(prefixed: Instance) -> None:
    shedding = prefixed.app.state.shedding
    assert {(b"POST", path) for path in (b"/score", b"/plants/a-1/score")} <= set(shedding._paths)
    assert shedding._paths[b"POST", b"/plants/a-1/score"] == "/score"
    for url in (b"/plants/a-1/v2/models/m/infer?x=1", b"/v2/models/m/infer"):
        assert shedding.path_of(url) == "/v2/models/m/infer"  # by which the shape of its errors is chosen
        assert shedding._template(b"POST", url) == "/v2/models/{name}/infer"
    assert shedding.path_of(b"/plants/a-12/score") == "/plants/a-12/score"


def test_no_link_of_the_pages_begins_at_the_root(prefixed: Instance) -> None:
    for path in ("/", "/docs"):
        text = prefixed.client.get(path).text
        assert 'src="/' not in text
        assert 'href="/' not in text
        assert "url: '/" not in text


@pytest.mark.parametrize(("given", "path"), [("", ""), ("/", ""), ("anomaly/", "/anomaly"), ("/a/b", "/a/b")])
def test_slashes_at_its_ends_do_not_matter(given: str, path: str) -> None:
    assert Settings(root_path=given).root_path == path


@pytest.mark.parametrize("wrong", ["/a b", "/a//b", "http://x/a", "/a?b", "/score", "/models/x", "/ü"])
def test_what_is_no_path_or_one_of_its_own_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match=r"root_path \(or ANOMALY_ROOT_PATH\)"):
        read_settings(root_path=wrong)


def test_own_paths_are_all_that_there_are(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m")
    app = create_app(Settings(models=tmp_path), load=load_tagged)
    paths = {context.path for context in iter_route_contexts(app.routes)}
    assert {path.split("/")[1] for path in paths if path} - {""} <= set(OWN_PATHS)
