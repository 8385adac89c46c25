"""Which part each image of a batch shows: `part` once for all, or in the form once for each file, in order."""

from collections.abc import Sequence
from typing import Any

from service.errors import MalformedRequestError
from service.routes.query import PART_HEADER, with_fields
from service.schemas.labels import MAX_PART, ONE_LINE
from service.schemas.score import BatchQuery

DESCRIBED_PARTS: dict[str, Any] = {
    "part": {
        "type": "array",
        "items": {"type": "string", "maxLength": MAX_PART, "pattern": f"^{ONE_LINE}$"},
        "description": "Which part the images show: one for all, or one for each file in order, empty where unknown.",
    }
}


def parts_of_files(
    query: BatchQuery, fields: Sequence[tuple[str, str]], num_files: int
) -> tuple[BatchQuery, list[str | None]]:
    """The query with the form's fields, and what each of its files shows.

    Raises RequestValidationError or MalformedRequestError.
    """
    given = [value.strip() for name, value in fields if name == "part"]
    query = with_fields(query, [each for each in fields if each[0] != "part"])
    if len(given) < 2:
        query = with_fields(query, [("part", part) for part in given if part])
        return query, [query.part] * num_files
    if query.part is not None:
        raise MalformedRequestError(
            f"The part is {query.part!r} in the query or in {PART_HEADER}, and the form has {len(given)} fields "
            "'part'; give one part for all images, or a field for each."
        )
    if len(given) != num_files:
        raise MalformedRequestError(
            f"The form has {len(given)} fields 'part' for {num_files} files; send one for each file, in the order of "
            "the files (empty where it is not known), or one for all."
        )
    return query, [with_fields(BatchQuery(), [("part", part)]).part if part else None for part in given]
