import asyncio
import base64
import hashlib
import re

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from service.edge.headers import HEADERS, SecureAnswers
from tests.service.fakes import POISON, Instance, png


@pytest.mark.parametrize("path", ["/healthz", "/models", "/metrics", "/openapi.json", "/nowhere", "/score"])
def test_every_answer_has_them_errors_too(instance: Instance, path: str) -> None:
    headers = instance.client.get(path).headers
    assert {name: headers.get(name) for name in HEADERS} == HEADERS


def test_refusals_before_the_app_have_them_too(instance: Instance) -> None:
    refused = instance.client.get("/", headers={"Host": "evil.example"})
    assert refused.status_code == 400
    assert {name: refused.headers.get(name) for name in HEADERS} == HEADERS


def test_an_unforeseen_error_has_them_too(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.routes.models._summarise", lambda slot: 1 / 0)
    for failed in (instance.score(png(POISON)), instance.client.get("/models")):
        assert failed.status_code == 500
        assert failed.json()["error"]["code"] == "internal_error"
        assert failed.headers["X-Request-ID"]
        assert {name: failed.headers.get(name) for name in HEADERS} == HEADERS


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_keep_their_own_policy_and_have_the_rest(instance: Instance, path: str) -> None:
    headers = instance.client.get(path).headers
    (policy,) = headers.get_list("content-security-policy")
    assert policy != HEADERS["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    for name in ("X-Content-Type-Options", "Referrer-Policy", "X-Frame-Options", "Cross-Origin-Opener-Policy"):
        assert headers[name] == HEADERS[name]


def test_the_documentations_policy_allows_its_one_script_and_no_other(instance: Instance) -> None:
    answer = instance.client.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert re.findall(r"\son\w+=|javascript:", answer.text) == []


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
def test_other_sites_may_read_nothing(instance: Instance, origin: str) -> None:
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answers: list[httpx.Response] = [
        instance.client.get("/models", headers={"Origin": origin}),
        instance.client.options("/score", headers=preflight),
        instance.client.post("/score", content=png(1), headers={"Content-Type": "image/png", "Origin": origin}),
    ]
    for answer in answers:
        assert [name for name in answer.headers if name.lower().startswith("access-control")] == []
    assert [answer.status_code for answer in answers[1:]] == [405, 403]


def test_an_answer_that_has_begun_when_its_request_is_cancelled_is_cut_off() -> None:
    async def scene() -> list[str]:
        begun, sent = asyncio.Event(), list[str]()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200})
            begun.set()
            await asyncio.Event().wait()

        async def send(message: Message) -> None:
            sent.append(message["type"])

        task = asyncio.create_task(SecureAnswers(app)({"type": "http"}, Request({"type": "http"}).receive, send))
        await begun.wait()
        task.cancel()
        await task
        return sent

    assert asyncio.run(scene()) == ["http.response.start"]
