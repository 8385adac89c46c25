"""Every route, with every kind of key, over a real connection; and no key in any log."""

import base64
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from service.app import create_app
from service.edge.callers import PUBLIC, PUBLIC_FOLDER, Callers
from service.edge.keys import Key, Keyring, Scope, add_key, read_keys, remove_key
from service.models.pool import Pool
from service.settings import Settings
from tests.service.fakes import add_bundle, load_tagged, open_instance, png, served
from tests.service.routes.test_score import code
from tests.service.test_load import eventually

PNG = {"Content-Type": "image/png"}
INFER = b'{"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 1, 1], "data": [0]}]}'
FORM: dict[str, Any] = {"files": [("files", ("a.png", png(1)))]}


@dataclass(frozen=True)
class Call:
    """One call of a route: who may make it ("public", "any", or a scope), and how it is made."""

    rule: str
    method: str
    path: str
    status: int
    request: dict[str, Any]


def call(rule: str, method: str, path: str, *, status: int = 200, **request: Any) -> Call:
    return Call(rule, method, path, status, request)


# In this order: version 2 is loaded before it is unloaded.
CALLS = {
    "/": call("public", "GET", "/"),
    "/static/{name}": call("public", "GET", "/static/main.js"),
    "/healthz": call("public", "GET", "/healthz"),
    "/readyz": call("public", "GET", "/readyz"),
    "/metrics": call("any", "GET", "/metrics"),
    "/docs": call("any", "GET", "/docs"),
    "/openapi.json": call("any", "GET", "/openapi.json"),
    "/static-offline-docs": call("any", "GET", "/static-offline-docs/swagger-ui.css"),
    "/models": call("any", "GET", "/models"),
    "/models/{name}": call("any", "GET", "/models/m"),
    "/score": call("score", "POST", "/score?model=m&version=1", content=png(1), headers=PNG),
    "/score/batch": call("score", "POST", "/score/batch?model=m&version=1", **FORM),
    "/models/{name}/drift": call("any", "GET", "/models/m/drift"),
    "/history": call("score", "GET", "/history"),
    "/history.csv": call("score", "GET", "/history.csv"),
    "/history/{number}/thumbnail": call("score", "GET", "/history/1/thumbnail"),
    "/history/{number}/correction": call("score", "PUT", "/history/1/correction", json={"correction": "normal"}),
    "/v2": call("any", "GET", "/v2"),
    "/v2/": call("any", "GET", "/v2/"),
    "/v2/health/live": call("public", "GET", "/v2/health/live"),
    "/v2/health/ready": call("public", "GET", "/v2/health/ready"),
    "/v2/models/{name}": call("any", "GET", "/v2/models/m"),
    "/v2/models/{name}/versions/{version}": call("any", "GET", "/v2/models/m/versions/1"),
    "/v2/models/{name}/ready": call("any", "GET", "/v2/models/m/ready"),
    "/v2/models/{name}/versions/{version}/ready": call("any", "GET", "/v2/models/m/versions/1/ready"),
    "/v2/models/{name}/infer": call("score", "POST", "/v2/models/m/infer", content=INFER),
    "/v2/models/{name}/versions/{version}/infer": call("score", "POST", "/v2/models/m/versions/1/infer", content=INFER),
    "/v2/repository/index": call("admin", "POST", "/v2/repository/index"),
    "/v2/repository/models/{name}/load": call("admin", "POST", "/v2/repository/models/m/load"),
    "/v2/repository/models/{name}/unload": call("admin", "POST", "/v2/repository/models/spare/unload"),
    "/admin/rescan": call("admin", "POST", "/admin/rescan"),
    "/admin/load": call("admin", "POST", "/admin/load?model=m&version=2"),
    "/admin/unload": call("admin", "POST", "/admin/unload?model=m&version=2", status=204),
}
each_call = pytest.mark.parametrize("route", list(CALLS))


@dataclass(frozen=True)
class Guarded:
    """A server with two keys."""

    client: httpx.Client
    app: FastAPI
    file: Path
    score: str
    admin: str
    both: str

    def ask(self, route: str, key: str | None, scheme: str = "Bearer") -> httpx.Response:
        made = CALLS[route]
        headers = made.request.get("headers", {}) | ({} if key is None else {"Authorization": f"{scheme} {key}"})
        return self.client.request(made.method, made.path, **(made.request | {"headers": headers}))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarding(tmp_path_factory.mktemp("guarded")) as opened:
        yield opened


@contextmanager
def guarding(folder: Path, options: dict[str, Any] | None = None, **settings: Any) -> Iterator[Guarded]:
    """A guarded server with its files in `folder`; `options` are uvicorn's."""
    for name, version in (("m", 1), ("m", 2), ("spare", 1)):
        add_bundle(folder / "models", name, version)
    file = folder / "keys.txt"
    scopes = {"line-3": ["score"], "ops": ["admin"], "plant": ["score", "admin"]}
    keys = [add_key(file, name, chosen) for name, chosen in scopes.items()]
    kept: dict[str, Any] = {"history": folder / "history.sqlite", "history_thumbnails": True}
    chosen = Settings(
        models=folder / "models", default_model="m", keys=file, threads=1, **({"rate_burst": 100_000} | kept | settings)
    )
    pools: list[Pool] = []
    app = create_app(chosen, load=load_tagged, on_settled=pools.append)
    with served(app, **(options or {})) as client:
        # the older version, which is asked for here, is loaded after the current ones
        eventually(lambda: any(all(slot.detector for slot in pool) for pool in pools))
        yield Guarded(client, app, file, *keys)


def test_every_route_has_a_rule_here(guarded: Guarded) -> None:
    assert set(CALLS) == {context.path for context in iter_route_contexts(guarded.app.routes)}
    public = {made.path for made in CALLS.values() if made.rule == "public"}
    assert {path for path in public if not path.startswith(PUBLIC_FOLDER)} == PUBLIC


@each_call
def test_each_route_with_each_kind_of_key(guarded: Guarded, route: str) -> None:
    rule, good = CALLS[route].rule, CALLS[route].status
    keys = [None, "unknown", guarded.score, guarded.admin]
    expected = {
        "public": [good, good, good, good],
        "any": [401, 401, good, good],
        "score": [401, 401, good, 403],
        "admin": [401, 401, 403, good],
    }[rule]
    answers = [guarded.ask(route, key) for key in keys]
    assert [answer.status_code for answer in answers] == expected
    codes = {401: "unauthenticated", 403: "forbidden"}
    for answer in answers:
        if answer.status_code in codes and route.startswith("/v2"):
            assert list(answer.json()) == ["error"]
            assert "key" in answer.json()["error"]
        elif answer.status_code in codes:
            assert code(answer) == (answer.status_code, codes[answer.status_code])
        assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"])
@pytest.mark.parametrize(
    "path", ["/nowhere", "/score", "/score/", "/score%0A", "/docs/", "/healthz/", "/%2e%2e", "/static"]
)
def test_what_is_not_public_needs_a_key_even_if_it_is_not_there(guarded: Guarded, method: str, path: str) -> None:
    assert guarded.client.request(method, path).status_code == 401


def test_a_scope_cannot_be_evaded_by_another_spelling_of_the_path(guarded: Guarded) -> None:
    bearer = {"Authorization": f"Bearer {guarded.admin}"}
    for path in ("/score%0A", "/%73core", "/score?x=%0A"):
        assert guarded.client.post(path, content=png(1), headers=PNG | bearer).status_code == 403


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer  "])
def test_the_scheme_is_read_as_http_says(guarded: Guarded, scheme: str) -> None:
    assert guarded.ask("/models", guarded.score, scheme).status_code == 200


def test_a_browser_may_send_the_key_as_password(guarded: Guarded) -> None:
    def basic(text: str) -> int:
        return guarded.ask("/models", base64.b64encode(text.encode()).decode(), "Basic").status_code

    assert [basic(f"{name}:{guarded.score}") for name in ("", "anyone")] == [200, 200]
    assert [basic(text) for text in (guarded.score, f"{guarded.score}:", f":{guarded.score}x")] == [401] * 3
    assert [guarded.ask("/models", text, "Basic").status_code for text in ("%", "/w==")] == [401] * 2


def test_only_a_persons_browser_is_asked_for_a_password(guarded: Guarded) -> None:
    person = guarded.client.get("/docs", headers={"Accept": "text/html,*/*"})
    assert person.headers["WWW-Authenticate"].startswith("Basic ")
    assert guarded.client.get("/models").headers["WWW-Authenticate"] == "Bearer"


def test_neither_the_hash_nor_the_name_nor_a_part_is_a_key(guarded: Guarded) -> None:
    stored = read_keys(guarded.file)[0]
    for wrong in (stored.sha256, stored.name, guarded.score[:-1], guarded.score + "a", "x" * 5000):
        assert guarded.ask("/models", wrong).status_code == 401
    for scheme in ("Digest", "Token"):
        assert guarded.ask("/models", guarded.score, scheme).status_code == 401
    assert guarded.client.get(f"/models?key={guarded.score}").status_code == 401
    assert guarded.client.get("/models", headers={"X-API-Key": guarded.score}).status_code == 401


def test_a_refusal_does_not_wait_for_the_body(guarded: Guarded) -> None:
    url = guarded.client.base_url
    head = f"POST /score HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection((url.host, url.port or 0), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_which_bundles_there_are_is_not_told_to_strangers(guarded: Guarded) -> None:
    stranger, friend = guarded.ask("/readyz", None).json(), guarded.ask("/readyz", guarded.score).json()
    assert (stranger["ready"], stranger["loaded"]) == (True, [])
    assert [name[:2] for name in friend["loaded"]] == ["m/"]


def test_a_key_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    with guarding(tmp_path, rate_limit=0.01, rate_burst=3) as guarded:
        answers = [guarded.ask("/models", guarded.score) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert code(answers[-1]) == (429, "rate_limited")
        assert 90 <= int(answers[-1].headers["Retry-After"]) <= 100
        assert guarded.ask("/models", guarded.admin).status_code == 200  # each key has its own
        assert guarded.ask("/healthz", guarded.score).status_code == 200


def test_keys_are_read_anew_when_told_so(tmp_path: Path) -> None:
    with guarding(tmp_path) as guarded:
        new = add_key(guarded.file, "new", ["score"])
        remove_key(guarded.file, "line-3")
        guarded.app.state.refresh()
        assert guarded.ask("/score", new).status_code == 200
        assert guarded.ask("/score", guarded.score).status_code == 401


def test_without_its_last_key_a_server_with_keys_lets_nobody_in(tmp_path: Path) -> None:
    with guarding(tmp_path) as guarded:
        for known in read_keys(guarded.file):
            remove_key(guarded.file, known.name)
        guarded.app.state.refresh()
        for key in (guarded.score, guarded.both, None):
            assert guarded.ask("/score", key).status_code == 401
            assert guarded.ask("/models", key).status_code == 401
        assert guarded.ask("/healthz", None).status_code == 200


@pytest.mark.parametrize("given", [{"allowed_hosts": "plant.example"}, {"trusted_proxies": "127.0.0.1"}])
def test_where_a_proxy_lets_others_in_nobody_administers_without_a_key(given: dict[str, Any]) -> None:
    assert Callers(Settings(), Keyring(None)).anyone.scopes == frozenset(Scope)
    assert Callers(Settings(**given), Keyring(None)).anyone.scopes == {Scope.SCORE}


def test_a_correction_is_noted_with_the_name_of_its_key(tmp_path: Path) -> None:
    with guarding(tmp_path) as guarded:
        scored = guarded.ask("/score", guarded.score)
        assert scored.json().get("history_id") == 1, scored.text
        for key, name in ((guarded.score, "line-3"), (guarded.both, "plant")):
            corrected = guarded.ask("/history/{number}/correction", key)
            assert corrected.json().get("corrected_by") == name, corrected.text
        bearer = {"Authorization": f"Bearer {guarded.score}"}
        taken = guarded.client.put("/history/1/correction", json={"correction": None}, headers=bearer)
        (row,) = guarded.ask("/history", guarded.score).json()["items"]
        assert taken.json() == row
        assert (row["correction"], row["corrected_by"]) == (None, "line-3")  # who took back what `plant` had said


def test_no_key_is_in_any_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    with guarding(tmp_path, {"log_level": "trace", "access_log": True, "log_config": None}) as guarded:
        monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)
        for route in CALLS:
            for key in (guarded.score, guarded.admin, "some-wrong-key"):
                guarded.ask(route, key)
                guarded.ask(route, base64.b64encode(f"x:{key}".encode()).decode(), "Basic")
        secrets = [guarded.score, guarded.admin, "some-wrong-key"]
    secrets += [base64.b64encode(f"x:{key}".encode()).decode() for key in secrets]
    records = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]  # the client's
    lines = [str(vars(record)) + logging.Formatter().format(record) for record in records]
    assert any("uvicorn.access" in line and "/models" in line for line in lines)
    assert [line for line in lines if any(secret in line for secret in secrets)] == []


def test_without_keys_everything_is_open_on_loopback(tmp_path: Path) -> None:
    history = tmp_path / "history.sqlite"
    with open_instance(tmp_path / "models", history=history, history_thumbnails=True) as instance:
        for route, made in CALLS.items():
            if made.rule != "admin":
                assert instance.client.request(made.method, made.path, **made.request).status_code == made.status, route
        assert instance.client.post("/admin/rescan").status_code == 200
        assert instance.client.get("/readyz").json()["loaded"] == ["m/1"]


def test_without_keys_nobody_administers_a_server_that_others_can_reach(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m")
    settings = Settings(models=tmp_path, host="0.0.0.0", insecure=True)  # noqa: S104  # not bound here
    with served(create_app(settings, load=load_tagged)) as client:
        for route, made in CALLS.items():
            if made.rule == "admin":
                assert client.request(made.method, made.path).status_code == 403, route
        while client.get("/readyz").status_code != 200:
            pass
        assert client.post("/score", content=png(1), headers=PNG).status_code == 200


@pytest.mark.parametrize("path", ["/models", "/healthz"])
def test_two_keys_are_refused_though_both_are_known(guarded: Guarded, path: str) -> None:
    """A proxy before this server may have gone by the other."""
    for second in (guarded.both, guarded.score):
        headers = [("Authorization", f"Bearer {key}") for key in (guarded.score, second)]
        answer = guarded.client.get(path, headers=headers)
        assert code(answer) == (400, "malformed_request")
        assert answer.json()["error"]["message"] == "The request has 2 headers Authorization; send one."


def test_a_key_that_has_expired_is_refused_by_its_name_and_day_without_a_reload(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with guarding(tmp_path) as guarded:
        secret = add_key(guarded.file, "guest", ["score"], expires="9999-12-30")
        guarded.app.state.refresh()
        assert guarded.ask("/score", secret).status_code == 200
        monkeypatch.setattr(Key, "has_expired", property(lambda key: key.is_past(date(9999, 12, 31))))
        refused = guarded.ask("/score", secret)
        assert code(refused) == (401, "unauthenticated")
        assert "The key 'guest' has expired: its last day was 9999-12-30 (UTC)." in refused.json()["error"]["message"]
        assert guarded.ask("/readyz", secret).json()["loaded"] == []  # as a stranger
        assert "refused: the key guest has expired, its last day was 9999-12-30 (UTC)" in caplog.text
        assert secret not in caplog.text
        assert guarded.ask("/score", guarded.score).status_code == 200
