"""HEAD is answered as GET is, without the body (RFC 9110, section 9.3.2); the framework answers it with 405."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class AnswerHeads:
    """ASGI middleware that lets the app answer a GET, and sends the head of its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        is_sent = False

        async def send_head(message: Message) -> None:
            nonlocal is_sent
            if message["type"] == "http.response.start":
                await send(message)
            elif not is_sent:
                is_sent = True
                await send({"type": "http.response.body"})

        asked = {**scope, "method": "GET"}
        try:
            await self.app(asked, receive, send_head)
        finally:
            scope.update({key: asked[key] for key in ("route",) if key in asked})  # for the log
