"""The scoring calls by themselves, for the framework's way to a function costs more than all that the function does.

They read their own parameters and bodies and return ready answers, so nothing is lost but routing and solving of what
they do not have. What they raise is answered as everywhere; the documentation is made from the same routes.
"""

import json
from collections.abc import Callable, Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import OverloadedError, describe, error_response
from service.headers import RAW


class _Shortcut:
    """ASGI middleware for the calls of some routes; `route_of` finds a request's, None if it is for none of them."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self._routes = {
            (method, route.path): route
            for route in routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }

    def route_of(self, scope: Scope) -> APIRoute | None:
        """The route that a request is for."""
        return self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None


class AnswerDirectly(_Shortcut):
    """Innermost: answers by the routes' functions, and passes on what is for none of them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        route = self.route_of(scope)
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.endpoint(Request(scope, receive))
        except Exception as error:
            response = error_response(error)
            await response(scope, receive, send)
            if response.status_code == 500:
                raise  # for the server's log
        else:
            await response(scope, receive, send)


class TurnAway(_Shortcut):
    """At the door: while there is no room for one image more, these calls are told so before anything is looked at.

    Further in they would be refused all the same, but under overload most requests are refused, and what a refusal
    costs is missing for the images that were let in. `full` gives the reason; None if an image might be let in.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute], full: Callable[[], OverloadedError | None]) -> None:
        super().__init__(app, routes)
        self.full = full

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass the request on."""
        route = self.route_of(scope)
        error = self.full() if route else None
        if error is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route
        problem = describe(error)
        body = json.dumps(problem.body()).encode()
        own = {"content-type": "application/json", "content-length": str(len(body))} | problem.headers
        headers = [*((name.lower().encode(), value.encode()) for name, value in own.items()), *RAW]
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
