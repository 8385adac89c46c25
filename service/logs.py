"""What the server writes of itself: one line an event on standard error, as text or as JSON, with the request's id.

A line of a request has its id whoever writes it, the framework and the server included: the id is a context variable,
and each request runs in a context of its own. Lines have a request's route (`/models/{name}`), its status and its
key's name; neither its address nor its headers, in which there may be keys.
"""

import itertools
import json
import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from service.settings import Settings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered; None outside of any."""

_START = secrets.token_hex(4)  # of this process; asking the system anew for each id would let other threads go first
_count = itertools.count()
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def choose_id(offered: str | None) -> str:
    """A request's id: the one that its client gave, if it can be copied into lines and headers, or a new one."""
    return offered if offered and SANE_ID.fullmatch(offered) else f"{_START}{next(_count):08x}"


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
    """One JSON object a line. What a record has as `fields` stands beside its message."""

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
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """For people: time, level, request and message; an exception follows in lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line = f"{_time(record)} {record.levelname.lower():<7} {request_id.get() or '-'} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
