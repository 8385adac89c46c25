"""Parameters read by their schema, for the calls that the framework does not read (`direct`): of query, head or form.

What is refused, and how, is the same as with the framework. A parameter may not have two values, in no call:
`check_query` sees to that where the framework reads.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from service.edge.filenames import as_text
from service.edge.headers import header
from service.errors import MalformedRequestError
from service.schemas.labels import MAX_PART, ONE_LINE

PART_HEADER = "X-Part-ID"
_PART_HEADER = PART_HEADER.lower().encode()
Query = TypeVar("Query", bound=BaseModel)


def read_head(schema: type[Query], request: Request) -> Query:
    """The parameters in a request's head: in its query, and the part that it names in PART_HEADER.

    Raises RequestValidationError or MalformedRequestError.
    """
    query: Query = _defaults(schema)
    if request.scope["query_string"]:
        query = _read(schema, request.query_params.multi_items(), "query")
    return with_part_header(query, request)


def with_part_header(query: Query, request: Request) -> Query:
    """The query with the part that PART_HEADER names. Raises as `read_head` does."""
    part = header(request.scope, _PART_HEADER)
    return with_fields(query, [("part", as_text(part.encode("latin-1")))], f"header {PART_HEADER}") if part else query


def with_fields(query: Query, fields: Sequence[tuple[str, str]], place: str = "form") -> Query:
    """The query, and fields of the same names. Raises as `read_head` does, also where the two contradict."""
    if not fields:
        return query
    given = _read(type(query), fields, place)
    chosen = {name: getattr(given, name) for name in given.model_fields_set}
    for name in given.model_fields_set & query.model_fields_set:
        if chosen[name] != getattr(query, name):
            raise MalformedRequestError(
                f"{name!r} is {getattr(query, name)!r} in the query or a header, and {chosen[name]!r} in the {place}; "
                "give it once."
            )
    return query.model_copy(update=chosen)


async def check_query(request: Request) -> None:  # async: else the framework asks a thread
    """A dependency of calls whose query the framework reads: it would take the last of several values.

    Raises MalformedRequestError for a parameter that is given twice, with two values, RequestValidationError for one
    that the call has not.
    """
    values = _values(request.query_params.multi_items(), "query")
    schemas = [field.field_info.annotation for field in request.scope["route"].dependant.query_params]
    for schema in schemas:
        if isinstance(schema, type) and issubclass(schema, BaseModel):
            unknown = [name for name in values if name not in schema.model_fields]
            if unknown:
                raise RequestValidationError([_unknown(schema, "query", name, values[name]) for name in unknown])


def _unknown(schema: type[BaseModel], place: str, name: str, value: object) -> dict[str, Any]:
    known = f"there is no such parameter; there are {', '.join(schema.model_fields)}"
    return {"type": "extra_forbidden", "loc": (place, name), "msg": known, "input": value}


def _values(items: Sequence[tuple[str, str]], place: str) -> dict[str, str]:
    values = dict(items)
    for name, value in items:
        if value != values[name]:
            raise MalformedRequestError(
                f"{name[:80]!r} is given twice in the {place}, as {value[:80]!r} and as {values[name][:80]!r}; give it "
                "once."
            )
    return values


def _read(schema: type[Query], items: Sequence[tuple[str, str]], place: str) -> Query:
    values = _values(items, place)
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError(
            [
                _unknown(schema, place, str(e["loc"][0]), e["input"])
                if e["type"] == "extra_forbidden"
                else {**e, "loc": (place, *e["loc"])}
                for e in error.errors()
            ]
        ) from None


@cache
def _defaults(schema: type[Query]) -> Query:
    return schema()  # frozen, so all requests may share it


def describe_head(schema: type[BaseModel]) -> dict[str, Any]:
    """A query's parameters, and the header for the part, for the OpenAPI document."""
    properties: dict[str, dict[str, Any]] = schema.model_json_schema()["properties"]
    described = [(name, "query", field) for name, field in properties.items()]
    return {"parameters": [*(_parameter(*each) for each in described), PART_IN_HEAD]}


def describe_header(name: str, field: dict[str, Any]) -> dict[str, Any]:
    """A header that may be left out, for the OpenAPI document. `field` is its schema."""
    return _parameter(name, "header", field)


def _parameter(name: str, place: str, field: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": place, "required": False, "schema": field, "description": field["description"]}


PART_IN_HEAD = describe_header(
    PART_HEADER,
    {
        "type": "string",
        "maxLength": MAX_PART,
        "pattern": f"^{ONE_LINE}$",
        "description": "Which part the images show, as the parameter `part`; an empty one tells nothing.",
    },
)
"""For the OpenAPI document."""


def form_fields(schema: type[BaseModel]) -> dict[str, Any]:
    """A query's parameters as fields of a form, which has no null, for the OpenAPI document."""
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
