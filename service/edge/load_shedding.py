"""Load shedding: while the server cannot accept one more image, scoring calls are refused by their heads alone.

The app would refuse them too. But under overload most requests are refused, and what a refusal costs is missing for the
images that were accepted. So nothing is looked at here but the method, the path and the key: a caller without one
learns nothing of the server, and each request counts for the rate of its key. Each refusal is counted, logged and has
its id, as every answer (docs/adr/0023-service-packages.md has what this gains).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from http import HTTPStatus

from starlette.routing import compile_path

from service.edge.callers import Callers, check_key
from service.edge.headers import HEADERS
from service.edge.keys import Key, Scope
from service.edge.proxies import TrustedProxies
from service.edge.request_log import NO_ROUTE, Observe, choose_id, log_request, request_id
from service.errors import OverloadedError, Problem, ServiceError, describe


class LoadShedding:
    """Refuses `calls` while `full` gives a reason to; None if an image may be accepted.

    A call is a method and a path, which may have parameters, and may begin with `root_path`. The log names the client
    that `proxies` tell.
    """

    def __init__(
        self,
        calls: Iterable[tuple[str, str]],
        full: Callable[[], OverloadedError | None],
        callers: Callers,
        observe: Observe,
        *,
        root_path: str,
        proxies: TrustedProxies,
    ) -> None:
        known = [(method.encode(), prefix + path, path) for method, path in calls for prefix in {"", root_path}]
        self._paths = {(method, asked.encode()): path for method, asked, path in known if "{" not in path}
        self._patterns = [(method, compile_path(asked)[0], path) for method, asked, path in known if "{" in path]
        self._root_path = root_path
        self._proxies = proxies
        self._full = full
        self._callers = callers
        self._observe = observe

    def refusal(
        self, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]], client: str | None
    ) -> Problem | None:
        """The whole answer to a request that is refused, by its head; None if it may go on to the app."""
        path = self._paths.get((method, url.partition(b"?")[0])) or self._template(method, url)
        error: ServiceError | None = self._full() if path else None
        if path is None or error is None:
            return None
        caller = None
        try:
            caller = self._callers.identify(path, headers)
            check_key(caller, Scope.SCORE)
        except ServiceError as its_own:
            error = its_own
        offered = next((value.decode("latin-1") for name, value in headers if name == b"x-request-id"), None)
        client = self._proxies.client_of(client, headers)
        return self._refuse(describe(error), method.decode(), path, choose_id(offered), caller, client)

    def connection_refusal(self, client: str | None) -> Problem:
        """The whole answer to a connection that is one too many; what it would ask for is not known."""
        error = OverloadedError("The server has as many connections as it can hold; try again soon.")
        return self._refuse(describe(error), "connection", NO_ROUTE, choose_id(None), None, client)

    def unread_refusal(self, problem: Problem, client: str | None) -> Problem:
        """The whole answer to what is no request, or not the whole head of one; what it would ask for is not known."""
        return self._refuse(problem, "unread", NO_ROUTE, choose_id(None), None, client)

    def _refuse(
        self, problem: Problem, method: str, path: str, identity: str, caller: Key | None, client: str | None
    ) -> Problem:
        """The problem with its headers, counted and logged."""
        token = request_id.set(identity)
        self._observe(path, problem.status, None)
        name = caller.name if caller else None
        log_request(method, path, problem.status, 0.0, error_code=problem.code, caller=name, client=client)
        request_id.reset(token)
        return replace(problem, headers=HEADERS | problem.headers | {"X-Request-ID": identity})

    def written_out(
        self, problem: Problem, url: bytes, defaults: Iterable[tuple[bytes, bytes]], *, stays_open: bool
    ) -> bytes:
        """The whole answer in bytes, in the shape of errors that its path has; `defaults` are the server's headers."""
        body = json.dumps(problem.body(self.path_of(url))).encode()
        headers = {name.decode(): value.decode() for name, value in defaults}
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))} | problem.headers
        if not stays_open:
            headers["Connection"] = "close"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        phrase = HTTPStatus(problem.status).phrase
        return f"HTTP/1.1 {problem.status} {phrase}\r\n{lines}\r\n".encode() + body

    def path_of(self, url: bytes) -> str:
        """What a request asks the app for, by its URL: without the query, and without `root_path`."""
        path = url.partition(b"?")[0].decode("latin-1")
        return path.removeprefix(self._root_path) if path.startswith(f"{self._root_path}/") else path

    def _template(self, method: bytes, url: bytes) -> str | None:
        """The path with parameters that a request is for, as the routes have it."""
        asked = url.partition(b"?")[0].decode("latin-1")
        return next((path for name, form, path in self._patterns if name == method and form.match(asked)), None)
