"""Parameters read by their schema, for the calls that the framework does not read (`direct`): of a query or a form.

What is refused, and how, is the same as with the framework; beyond that, a parameter may not have two values.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from service.errors import MalformedRequestError

Query = TypeVar("Query", bound=BaseModel)


def read_query(schema: type[Query], request: Request) -> Query:
    """The request's parameters. Raises RequestValidationError or MalformedRequestError."""
    if not request.scope["query_string"]:
        defaults: Query = _defaults(schema)
        return defaults
    return _read(schema, request.query_params.multi_items(), "query")


def with_fields(query: Query, fields: Sequence[tuple[str, str]]) -> Query:
    """The query, and a form's fields of the same names. Raises as `read_query` does, also where the two contradict."""
    if not fields:
        return query
    given = _read(type(query), fields, "form")
    chosen = {name: getattr(given, name) for name in given.model_fields_set}
    for name in given.model_fields_set & query.model_fields_set:
        if chosen[name] != getattr(query, name):
            raise MalformedRequestError(
                f"{name!r} is {getattr(query, name)!r} in the query and {chosen[name]!r} in the form; give it once."
            )
    return query.model_copy(update=chosen)


def _read(schema: type[Query], items: Sequence[tuple[str, str]], place: str) -> Query:
    values = dict(items)
    for name, value in items:
        if value != values[name]:
            raise MalformedRequestError(
                f"{name[:80]!r} is given twice in the {place}, as {value[:80]!r} and as {values[name][:80]!r}; give it "
                "once."
            )
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        known = f"there is no such parameter; there are {', '.join(schema.model_fields)}"
        raise RequestValidationError(
            [
                {**e, "loc": (place, *e["loc"]), "msg": known if e["type"] == "extra_forbidden" else e["msg"]}
                for e in error.errors()
            ]
        ) from None


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


def form_fields(schema: type[BaseModel]) -> dict[str, Any]:
    """The same parameters as fields of a form, which has no null."""
    properties: dict[str, dict[str, Any]] = schema.model_json_schema()["properties"]
    return {
        name: next(iter(field.get("anyOf", [field]))) | {"description": field["description"]}
        for name, field in properties.items()
    }


def describe_body(schema: type[BaseModel], *, required: bool, sample: dict[str, Any] | None = None) -> dict[str, Any]:
    """A body in JSON that the framework does not read either, with a sample of it."""
    whole = schema.model_json_schema()
    definitions = whole.pop("$defs", {})

    def inlined(part: Any) -> Any:
        if isinstance(part, dict) and "$ref" in part:
            return inlined(
                definitions[part["$ref"].rpartition("/")[2]] | {k: v for k, v in part.items() if k != "$ref"}
            )
        if isinstance(part, dict):
            return {key: inlined(value) for key, value in part.items()}
        return [inlined(each) for each in part] if isinstance(part, list) else part

    content = {"schema": inlined(whole)} | ({"example": sample} if sample else {})
    return {"requestBody": {"required": required, "content": {"application/json": content}}}
