"""Requests as clients in use really send them, to a real server: each is right, or refused by name."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.field.request_cases import CASES, SECTION, Case, file, form, request, text
from tests.field.rows import Row
from tests.service.fakes import Instance, add_bundle, open_instance

PROBES = ("/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/models", "/static/layout.css")
ROWS = (
    *(case.row for case in CASES),
    *(Row(SECTION, f"`HEAD {path}`", "as GET, without the body") for path in PROBES),
    Row(SECTION, "`GET /healthz`, `/readyz` and `/metrics` by HTTP/1.0 without `Host`", "answered, as probes send it"),
    Row(SECTION, "anything else without `Host`", "400: this server does not answer to the host ''"),
)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A server with the models `m`, which is the default, and `other`, whose scores are half more."""
    models = tmp_path_factory.mktemp("models")
    add_bundle(models, "other")
    with open_instance(models, default_model="m") as instance:
        yield instance


def answer(instance: Instance, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what a raw request gets."""
    with socket.create_connection(("127.0.0.1", instance.client.base_url.port or 0), timeout=20) as connection:
        connection.sendall(raw)
        got = b""
        while piece := connection.recv(65536):
            got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_what_a_request_gets(two: Instance, case: Case) -> None:
    status, _, body = answer(two, case.raw)
    found: dict[str, Any] = json.loads(body)
    if case.status != 200:
        assert (status, found["error"]["code"]) == (case.status, case.code)
        assert case.says in found["error"]["message"]
        return
    assert status == 200, found
    results = found.get("results", [found])
    assert case.scores == tuple(result["score"] for result in results)
    if case.names:
        assert case.names == tuple(result["filename"] for result in results)


def test_a_field_decides_as_the_query_does(two: Instance) -> None:
    by_field = json.loads(answer(two, request(form(text("alpha", "0.3"), text("heatmap", "true"), file("file", 7))))[2])
    by_query = json.loads(answer(two, request(form(file("file", 7)), path="/score?alpha=0.3&heatmap=true"))[2])
    assert by_field == by_query
    assert (by_field["alpha"], "heatmap" in by_field) == (0.3, True)


def test_a_broken_file_of_a_batch_keeps_its_place_whatever_its_field(two: Instance) -> None:
    broken = (file("image", 0, "b.png")[0], b"no image")
    body = form(file("files", 1), broken, file("file", 3))
    results = json.loads(answer(two, request(body, path="/score/batch"))[2])["results"]
    assert [result.get("score") for result in results] == [1.0, None, 3.0]
    assert results[1]["filename"] == "b.png"


@pytest.mark.parametrize("path", PROBES)
def test_a_head_is_that_of_get(two: Instance, path: str) -> None:
    status, headers, body = answer(two, request(method="HEAD", path=path, content_type=None))
    got_status, got_headers, got_body = answer(two, request(method="GET", path=path, content_type=None))
    assert (status, body) == (got_status, b"") == (200, b"")
    assert got_body
    assert headers["content-type"] == got_headers["content-type"]
    if path != "/metrics":  # its numbers change
        assert headers["content-length"] == got_headers["content-length"]


def test_a_head_of_what_is_not_there_or_not_got(two: Instance) -> None:
    assert answer(two, request(method="HEAD", path="/nowhere"))[0] == 404
    assert answer(two, request(method="HEAD", path="/score"))[0] == 405


@pytest.mark.parametrize(
    ("path", "version", "expected"),
    [
        ("/healthz", "1.0", 200),
        ("/readyz", "1.0", 200),
        ("/metrics", "1.0", 200),
        ("/healthz", "1.1", 400),
        ("/models", "1.0", 400),
        ("/", "1.0", 400),
    ],
)
def test_a_probe_needs_no_host(two: Instance, path: str, version: str, expected: int) -> None:
    assert answer(two, request(method="GET", path=path, version=version, host=None))[0] == expected
    assert answer(two, request(method="GET", path=path, version=version, host="evil.example"))[0] == 400
