"""Query parameters read by their schema, for the calls that the framework does not read (`direct`).

What is refused, and how, is the same as with the framework.
"""

from functools import cache
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Query = TypeVar("Query", bound=BaseModel)


def read_query(schema: type[Query], request: Request) -> Query:
    """The request's parameters. Raises RequestValidationError."""
    if not request.scope["query_string"]:
        defaults: Query = _defaults(schema)
        return defaults
    try:
        return schema.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("query", *e["loc"])} for e in error.errors()]) from None


@cache
def _defaults(schema: type[Query]) -> Query:
    return schema()  # frozen, so all requests may share it


def describe_query(schema: type[BaseModel]) -> dict[str, Any]:
    """The same parameters for the OpenAPI document."""
    properties: dict[str, dict[str, Any]] = schema.model_json_schema()["properties"]
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": field, "description": field["description"]}
            for name, field in properties.items()
        ]
    }
