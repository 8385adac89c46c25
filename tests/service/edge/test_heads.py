"""HEAD as GET without the body, also where the answer comes in pieces."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.edge.heads import AnswerHeads


def ask(method: str) -> tuple[Scope, list[str], list[Message]]:
    """The scope afterwards, the methods that the app was asked by, and what was sent."""
    asked: list[str] = []
    sent: list[Message] = []
    scope: Scope = {"type": "http", "method": method}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["method"])
        scope["route"] = "/there"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        for piece, more in ((b"abc", True), (b"def", False)):
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(AnswerHeads(app)(scope, receive, send))
    return scope, asked, sent


def test_the_head_of_a_gets_answer_is_sent_and_one_empty_body() -> None:
    scope, asked, sent = ask("HEAD")
    assert asked == ["GET"]
    assert sent[0] == {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]}
    assert sent[1:] == [{"type": "http.response.body"}]
    assert (scope["method"], scope["route"]) == ("HEAD", "/there")  # as the log and the server need them


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_methods_are_passed_on_as_they_are(method: str) -> None:
    scope, asked, sent = ask(method)
    assert asked == [scope["method"]] == [method]
    assert [message.get("body") for message in sent] == [None, b"abc", b"def"]
