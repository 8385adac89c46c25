"""At the door: while there is no room for one image more, scoring calls are told so before they are requests at all.

Further in they would be refused all the same. But under overload most requests are refused, and what a refusal costs is
missing for the images that were let in; so here nothing is looked at but the method and the path. Each is counted and
logged, and has its id, as every request.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from starlette.routing import BaseRoute

from service.errors import OverloadedError, Problem, describe
from service.headers import HEADERS
from service.logs import choose_id, request_id
from service.shortcut import by_call
from service.telemetry import Telemetry
from service.watching import log_request


class Door:
    """Where requests for `routes` are turned away while `full` gives a reason to; None if an image might be let in."""

    def __init__(
        self, routes: Iterable[BaseRoute], full: Callable[[], OverloadedError | None], telemetry: Telemetry
    ) -> None:
        self._paths = {(method.encode(), path.encode()): path for method, path in by_call(routes)}
        self._full = full
        self._telemetry = telemetry

    def refusal(
        self, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]], client: str | None
    ) -> Problem | None:
        """The whole answer to a request that is not let in, by its head; None if it may go on."""
        path = self._paths.get((method, url.partition(b"?")[0]))
        error = self._full() if path else None
        if path is None or error is None:
            return None
        problem = describe(error)
        offered = next((value.decode("latin-1") for name, value in headers if name == b"x-request-id"), None)
        token = request_id.set(identity := choose_id(offered))
        self._telemetry.observe_request(path, problem.status, 0.0)
        log_request(method.decode(), path, problem.status, 0.0, caller=None, client=client)
        request_id.reset(token)
        return replace(problem, headers=HEADERS | problem.headers | {"X-Request-ID": identity})
