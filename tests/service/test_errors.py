import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from anomaly import errors as library
from service import errors
from service.errors import RETRY_AFTER_S, STATUS, ServiceError, describe


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (library.ImageTooLargeError("x"), 413, "image_too_large"),
        (library.UnsupportedFormatError("x"), 415, "unsupported_format"),
        (library.UndecodableImageError("x"), 422, "undecodable_image"),
        (library.ValueRangeError("x"), 422, "values_out_of_range"),
        (library.ImageError("x"), 422, "unusable_image"),
        (library.BundleNotFoundError("x"), 404, "model_not_found"),
        (library.CorruptBundleError("x"), 503, "model_unavailable"),
        (library.UsageError("x"), 400, "invalid_parameter"),
        (HTTPException(404), 404, "not_found"),
        (HTTPException(405), 405, "method_not_allowed"),
        (HTTPException(418, "x"), 418, "http_error"),
    ],
)
def test_the_table(error: Exception, status: int, code: str) -> None:
    problem = describe(error)
    assert (status, code) == (problem.status, problem.code)


@pytest.mark.parametrize("error", [ValueError("secret"), library.TrainingError("secret")])
def test_the_unforeseen_tells_nothing(error: Exception) -> None:
    problem = describe(error)
    assert (problem.status, problem.code) == (500, "internal_error")
    assert "secret" not in str(problem.body("/score"))


def test_every_error_of_the_service_has_a_status() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ServiceError)]
    assert {ServiceError} == set(kinds) - set(STATUS)


def test_every_503_says_when_to_come_back() -> None:
    for kind, (status, code) in STATUS.items():
        assert (status == 503) == (code in RETRY_AFTER_S)
        if status == 503:
            assert int(describe(kind("x")).headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/score", {"code": "forbidden", "message": "x"}),
        ("/v20", {"code": "forbidden", "message": "x"}),
        ("/v2", "x"),
        ("/v2/models/m", "x"),
    ],
)
def test_the_path_tells_the_shape(path: str, shape: object) -> None:
    assert describe(errors.ForbiddenError("x")).body(path) == {"error": shape}


def test_of_many_mistakes_a_few_are_told() -> None:
    found = [{"type": "missing", "loc": ("query", f"p{i}"), "msg": "", "input": None} for i in range(12)]
    assert describe(RequestValidationError(found[:2])).message == "query.p0: it is missing; query.p1: it is missing"
    assert describe(RequestValidationError(found)).message.endswith("query.p9: it is missing; and 2 more")
