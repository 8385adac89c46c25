"""The scoring calls by themselves, for the framework's way to a function costs more than all that the function does.

They read their own parameters and bodies and return ready answers, so nothing is lost but routing and solving of what
they do not have. What they raise is answered as everywhere; the documentation is made from the same routes.
"""

from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import error_response


def by_call(routes: Iterable[BaseRoute]) -> dict[tuple[str, str], APIRoute]:
    """The routes by method and path."""
    return {
        (method, route.path): route for route in routes if isinstance(route, APIRoute) for method in route.methods or ()
    }


class AnswerDirectly:
    """ASGI middleware, innermost: answers by the `routes`' functions, and passes on what is for none of them."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self.routes = by_call(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        route = self.routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
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
