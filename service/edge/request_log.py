"""The server's log: every request gets an id, a line and its place in the counts; every line has its request's id.

Lines go to standard error, one for each event, as text or as JSON. The id is a context variable, and each request runs
in a context of its own, so a line has its request's id whoever writes it, the framework and the server included. Lines
have a request's route (`/models/{name}`), its status and its key's name, and which parts and files it is about, but
neither its URL nor its headers, in which there may be keys. Lines of JSON have the client's address too.
"""

import itertools
import json
import logging
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter
from types import MappingProxyType
from typing import Any, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anomaly.times import utc_text
from service.edge.headers import header
from service.errors import STATUS, OverloadedError
from service.settings import Settings

logger = logging.getLogger(__name__)

Observe = Callable[[str, int, float | None], None]
"""Told of each answered request: its route, its status and its seconds, or None if it was refused for lack of room."""
NO_ROUTE = "none"
"""The route of what is answered before any is found."""
_NO_ROOM = STATUS[OverloadedError][1]

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered; None outside of any."""

_START = secrets.token_hex(4)  # of this process; a call of the system for each id would let other threads go first
_count = itertools.count()
NO_TEXT = re.compile("[\x7f-\x9f\u2028\u2029]")
"""What JSON need not escape, though some take it for the end of a line, and terminals for a command."""
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def choose_id(offered: str | None) -> str:
    """A request's id: the one that its client gave, if it can be copied into lines and headers; else a new one."""
    return offered if offered and SANE_ID.fullmatch(offered) else f"{_START}{next(_count):08x}"


def note_images(scope: Scope, parts: Sequence[str | None], filenames: Sequence[str | None]) -> None:
    """Let a request's line say which images it is about, in order."""
    scope["state"]["images"] = {"parts": parts, "filenames": filenames}


class LogRequests:
    """ASGI middleware, outermost: counts, times and logs each HTTP request by its route's template and its status code.

    The id comes from `X-Request-ID` or is made, and goes back in the same header. An exception counts as 500.
    """

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self.app = app
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = perf_counter()
        code = 500
        identity = choose_id(header(scope, b"x-request-id"))
        request_id.set(identity)  # not reset: the server's own lines on this request come after

        async def send_noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identity.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        finally:
            self._note(scope, code, perf_counter() - start)

    def _note(self, scope: Scope, code: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        state, (client, *_) = scope.get("state", {}), scope.get("client") or [None]
        error_code = state.get("error_code")
        if problem := state.get("refused_with"):  # what `protocol` has answered in the app's place
            code, error_code = problem.status, problem.code
        # thousands of refusals that cost nothing would hide how long the requests that are accepted take
        self.observe(route, code, None if error_code == _NO_ROOM else seconds)
        caller = state.get("caller")
        name = caller.name if caller else None
        images = state.get("images", {})
        log_request(
            scope["method"], route, code, seconds, error_code=error_code, caller=name, client=client, images=images
        )


def log_request(
    method: str,
    route: str,
    code: int,
    seconds: float,
    *,
    error_code: str | None,
    caller: str | None,
    client: str | None,
    images: Mapping[str, Sequence[str | None]] = MappingProxyType({}),
) -> None:
    """The line of one answered request; `images` are names of fields, with what they say of each image.

    `error_code`: the code of the error that was answered, which says why; its sentence may have what was sent.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    fields = {
        "method": method[:16],
        "route": route,
        "status": code,
        "code": error_code,
        "seconds": round(seconds, 6),
        "caller": caller,
        "client": client,
        **images,
    }
    said = "".join(f" {name}={values!r}" for name, values in images.items() if any(values))
    why = f" {error_code}" if error_code else ""
    args = fields["method"], route, code, why, seconds * 1e3, said
    logger.info("%s %s %d%s in %.1f ms%s", *args, extra={"fields": fields})


@contextmanager
def logging_to(stream: TextIO, settings: Settings) -> Iterator[None]:
    """Let all loggers write to `stream`, as `settings` say."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    handler.addFilter(lambda record: not record.name.startswith("PIL."))  # what it says of a file, the answer says
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


class JsonFormatter(logging.Formatter):
    """One JSON object in each line. What a record has as `fields` stands beside its message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": request_id.get(),
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        text = json.dumps(line, ensure_ascii=False, default=str)
        return NO_TEXT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class TextFormatter(logging.Formatter):
    """For people: time, level, request and message; an exception follows in lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line = f"{_time(record)} {record.levelname.lower():<7} {request_id.get() or '-'} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _time(record: logging.LogRecord) -> str:
    return utc_text(datetime.fromtimestamp(record.created, UTC))
