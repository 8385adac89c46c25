"""The scoring calls, answered before the framework's routing: its way to a function costs more than what that does.

They read their own parameters and bodies and return ready answers, so nothing is lost but routing and the solving of
dependencies, which they do not have (docs/adr/0023-service-packages.md). The documentation is made from these routes.
"""

from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import error_response


class AnswerDirectly:
    """ASGI middleware, innermost: answers by the `routes`' functions, and passes on what is for none of them.

    What is unforeseen is raised on, for `SecureAnswers` to answer and for the server's log.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self.routes = {call: route for route in routes if isinstance(route, APIRoute) for call in calls_of([route])}

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
            if response.status_code == 500:
                raise
        await response(scope, receive, send)


def calls_of(routes: Iterable[BaseRoute]) -> list[tuple[str, str]]:
    """Method and path of each."""
    return [(method, route.path) for route in routes if isinstance(route, APIRoute) for method in route.methods or ()]
