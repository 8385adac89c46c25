"""What can go wrong in a request, and the one table that gives each error its HTTP status and its stable code.

    AnomalyError
    └── ServiceError
        ├── MalformedRequestError     a body or a set of parameters that cannot be understood
        ├── ClientGoneError           the client hung up before its answer was made
        ├── UnknownHostError          the Host header names no host this server answers to
        ├── CrossSiteError            another web site's page asks for something that changes or costs
        ├── UnauthenticatedError      no key, or none that is known
        ├── ForbiddenError            a key that is not for this
        ├── RateLimitError            a key that sends too many requests
        ├── ModelNotFoundError        no such name or version among the bundles
        ├── ModelUnavailableError     the bundle is there, but it could not be loaded
        ├── BundleRefusedError        an administrator's bundle fails; the old one serves on
        ├── UploadTooLargeError       more bytes, or more files, than a request may have
        ├── UnsupportedContentError   neither a form nor an image
        ├── NotReadyError             bundles are still being loaded
        ├── OverloadedError           the server cannot hold another image, or would be too late
        ├── DeadlineError             a request that was accepted could not be answered in time
        ├── HistoryOffError           the server keeps no history
        ├── HistoryRowNotFoundError   no such row, or it has no thumbnail
        ├── HistoryUnavailableError   the history cannot be read or written now
        ├── DeviceMemoryError         the device has no memory even for one image
        ├── EngineFailedError         a thread of the server died; it scores nothing any more
        └── ShuttingDownError         the server has been told to stop

Every answer that is an error has one shape: `{"error": {"code": "…", "message": "…"}}`. Clients may rely on its code.
Below PROTOCOL it has that of the Open Inference Protocol instead: `{"error": "…"}`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from anomaly import errors as library
from anomaly.shares import AS_SHARE


class ServiceError(library.AnomalyError):
    """Base of the errors that only a server has; `headers` go with the answer."""

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = dict(headers or {})


class MalformedRequestError(ServiceError):
    """A body or a set of parameters that cannot be understood."""


class ClientGoneError(ServiceError):
    """The client hung up before its answer was made."""


class UnknownHostError(ServiceError):
    """The Host header names no host this server answers to."""


class CrossSiteError(ServiceError):
    """Another web site's page asks for something that changes or costs."""


class UnauthenticatedError(ServiceError):
    """No key, or none that is known."""


class ForbiddenError(ServiceError):
    """A key that is not for this."""


class RateLimitError(ServiceError):
    """A key that sends too many requests."""


class ModelNotFoundError(ServiceError):
    """No such name or version among the bundles."""


class ModelUnavailableError(ServiceError):
    """The bundle is there, but it could not be loaded."""


class BundleRefusedError(ServiceError):
    """An administrator's bundle fails; the old one serves on."""


class UploadTooLargeError(ServiceError):
    """More bytes, or more files, than a request may have."""


class UnsupportedContentError(ServiceError):
    """Neither a form nor an image."""


class NotReadyError(ServiceError):
    """Bundles are still being loaded."""


class OverloadedError(ServiceError):
    """The server cannot hold another image, or would come to it too late, in about `wait_s` seconds."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message, {"Retry-After": str(max(RETRY_AFTER_S["overloaded"], math.ceil(wait_s)))})


class DeadlineError(ServiceError):
    """A request that was accepted could not be answered in time; it is not run any more."""


class HistoryOffError(ServiceError):
    """The server keeps no history."""


class HistoryRowNotFoundError(ServiceError):
    """No such row in the history, or it has not what was asked for."""


class HistoryUnavailableError(ServiceError):
    """The history cannot be read or written now; images are scored all the same."""


class DeviceMemoryError(ServiceError):
    """The device has no memory even for one image."""


class EngineFailedError(ServiceError):
    """A thread of the server died, so it scores nothing any more, and stops."""

    MESSAGE = "A thread of the server has died: it cannot score any more, and stops. Its log says why; try again later."


class ShuttingDownError(ServiceError):
    """The server has been told to stop; another may be about to take its place."""


STATUS: dict[type[Exception], tuple[int, str]] = {
    MalformedRequestError: (400, "malformed_request"),
    RequestValidationError: (400, "invalid_parameter"),
    ClientGoneError: (400, "client_disconnected"),
    ClientDisconnect: (400, "client_disconnected"),
    library.UsageError: (400, "invalid_parameter"),
    UnknownHostError: (400, "unknown_host"),
    UnauthenticatedError: (401, "unauthenticated"),
    CrossSiteError: (403, "cross_site_request"),
    ForbiddenError: (403, "forbidden"),
    ModelNotFoundError: (404, "model_not_found"),
    library.BundleNotFoundError: (404, "model_not_found"),
    HistoryOffError: (404, "history_off"),
    HistoryRowNotFoundError: (404, "history_row_not_found"),
    UploadTooLargeError: (413, "upload_too_large"),
    library.ImageTooLargeError: (413, "image_too_large"),
    UnsupportedContentError: (415, "unsupported_content_type"),
    library.UnsupportedFormatError: (415, "unsupported_format"),
    library.UndecodableImageError: (422, "undecodable_image"),
    library.ValueRangeError: (422, "values_out_of_range"),
    library.ImageError: (422, "unusable_image"),
    BundleRefusedError: (422, "bundle_refused"),
    RateLimitError: (429, "rate_limited"),
    ModelUnavailableError: (503, "model_unavailable"),
    library.CorruptBundleError: (503, "model_unavailable"),
    NotReadyError: (503, "not_ready"),
    OverloadedError: (503, "overloaded"),
    DeadlineError: (503, "deadline_exceeded"),
    DeviceMemoryError: (503, "device_out_of_memory"),
    EngineFailedError: (503, "engine_failed"),
    HistoryUnavailableError: (503, "history_unavailable"),
    ShuttingDownError: (503, "shutting_down"),
}
"""Status and code by class; an error that is not listed has those of its nearest listed base."""

FRAMEWORK_CODES = {400: "malformed_request", 404: "not_found", 405: "method_not_allowed"}
INTERNAL = (500, "internal_error")
MAX_MISTAKES = 10
"""Told in one answer; a request may have thousands."""
PROTOCOL = "/v2"
"""The path of the Open Inference Protocol; its calls lie below."""
RETRY_AFTER_S = {
    "overloaded": 1,
    "deadline_exceeded": 5,
    "device_out_of_memory": 10,
    "engine_failed": 10,
    "history_unavailable": 5,
    "shutting_down": 10,
    "not_ready": 5,
    "model_unavailable": 60,
}
"""At the least; an OverloadedError may know better."""


@dataclass(frozen=True)
class Problem:
    """An error as a client sees it; `headers` go with the answer."""

    status: int
    code: str
    message: str
    headers: dict[str, str]

    def body(self, path: str) -> dict[str, str] | dict[str, dict[str, str]]:
        """The one shape of all errors, or the protocol's, by the path that was asked for."""
        if path == PROTOCOL or path.startswith(f"{PROTOCOL}/"):
            return {"error": self.message}
        return {"error": {"code": self.code, "message": self.message}}


class ErrorResponse(Response):
    """The answer to a request that failed; its shape follows from the request's path."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(status_code=problem.status)
        self.problem = problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; the request's line in the log has its code."""
        problem = self.problem
        scope.setdefault("state", {})["error_code"] = problem.code
        answer = JSONResponse(problem.body(scope.get("path", "")), problem.status, problem.headers)
        await answer(scope, receive, send)


def describe(error: Exception) -> Problem:
    """Say of any exception what a client may know of it; of an unforeseen one, nothing but that it happened."""
    if isinstance(error, HTTPException):
        code = FRAMEWORK_CODES.get(error.status_code, "http_error")
        return Problem(error.status_code, code, _sentence(error), dict(error.headers or {}))
    status, code = next((STATUS[base] for base in type(error).__mro__ if base in STATUS), INTERNAL)
    headers = {"Connection": "close"} if status == 500 else {}  # uvicorn closes it, whatever the answer says
    if code in RETRY_AFTER_S:
        headers["Retry-After"] = str(RETRY_AFTER_S[code])
    headers |= error.headers if isinstance(error, ServiceError) else {}
    return Problem(status, code, _sentence(error) if status != 500 else "The server failed; its log says why.", headers)


def in_words(mistake: Mapping[str, Any]) -> str:
    """What pydantic found, one of its `errors`, for whoever wrote a request."""
    where, message = mistake["loc"], str(mistake["msg"])
    if mistake["type"] == "missing":
        return "it is missing"
    if mistake["type"] == "extra_forbidden":
        return "there is no such field" if message == "Extra inputs are not permitted" else message
    return f"it is a number, a share between 0 and 1; {AS_SHARE}" if where and where[-1] == "alpha" else message


def error_response(error: Exception) -> ErrorResponse:
    """The answer to a request that failed with `error`."""
    return ErrorResponse(describe(error))


def answer_errors(app: FastAPI) -> None:
    """Answer every error of `app`, the framework's own included, in the one shape."""

    async def answer(request: Request, error: Exception) -> ErrorResponse:
        return error_response(error)

    for kind in (library.AnomalyError, HTTPException, RequestValidationError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, answer)


def _value_of(mistake: Mapping[str, Any]) -> str:
    """What was sent, as JSON has it; nothing where `input` is the whole: a field is missing, or it is no JSON."""
    sent = mistake["input"]
    if mistake["type"] in ("missing", "json_invalid"):
        return ""
    return f" {sent[:80]!r}" if isinstance(sent, str) else f" {json.dumps(sent, default=str)[:80]}"


def _sentence(error: Exception) -> str:
    if isinstance(error, RequestValidationError):
        found = error.errors()
        told = [f"{'.'.join(map(str, e['loc']))}{_value_of(e)}: {in_words(e)}" for e in found[:MAX_MISTAKES]]
        return "; ".join([*told, f"and {len(found) - len(told)} more"] if len(found) > len(told) else told)
    if isinstance(error, HTTPException):
        methods = (error.headers or {}).get("Allow")
        others = f", but to {methods}" if methods else ""
        return {
            404: "There is nothing at this address; GET /docs lists what there is.",
            405: f"This address does not answer to this method{others}; GET /docs lists what there is.",
        }.get(error.status_code, str(error.detail))
    return str(error)
