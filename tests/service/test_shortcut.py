import asyncio
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request, Response

from service.errors import MalformedRequestError
from service.shortcut import AnswerDirectly

router = APIRouter()


@router.post("/direct")
async def direct(request: Request) -> Response:
    match request.query_params.get("do"):
        case "refuse":
            raise MalformedRequestError("No.")
        case "fail":
            raise ValueError("secret")
    return Response(f"{request.method} {await request.body()!r}", media_type="text/plain")


def ask(method: str, path: str, query: str = "") -> tuple[list[dict[str, Any]], dict[str, Any], bool]:
    """What was sent, the request's scope, and whether the framework was asked."""
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
    scope |= {"headers": []}
    sent: list[dict[str, Any]] = []
    passed_on = []

    async def rest(scope: Any, receive: Any, send: Any) -> None:
        passed_on.append(scope)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"body", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(AnswerDirectly(rest, router.routes)(scope, receive, send))
    return sent, scope, bool(passed_on)


def test_the_route_answers_by_itself_and_the_log_can_name_it() -> None:
    (start, body), scope, passed_on = ask("POST", "/direct")
    assert (start["status"], body["body"]) == (200, b"POST b'body'")
    assert scope["route"].path == "/direct"
    assert not passed_on


@pytest.mark.parametrize(("method", "path"), [("GET", "/direct"), ("POST", "/direct/"), ("POST", "/other")])
def test_all_else_is_the_frameworks(method: str, path: str) -> None:
    sent, _, passed_on = ask(method, path)
    assert passed_on
    assert not sent


def test_a_refusal_is_answered_as_everywhere() -> None:
    (start, body), _, _ = ask("POST", "/direct", "do=refuse")
    assert start["status"] == 400
    assert body["body"] == b'{"error":{"code":"malformed_request","message":"No."}}'


def test_a_failure_is_answered_without_its_reason_and_raised_for_the_log() -> None:
    with pytest.raises(ValueError, match="secret"):
        ask("POST", "/direct", "do=fail")


def test_the_documentation_has_the_routes_still() -> None:
    app = FastAPI()
    app.include_router(router)
    assert "/direct" in app.openapi()["paths"]
