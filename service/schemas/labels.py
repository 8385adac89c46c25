"""What an image is called: the part that it shows, and its file. One line of text each, so that both can be logged."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter

MAX_PART, MAX_NAME = 128, 1024
"""Characters."""
ONE_LINE = r"[^\u0000-\u001F\u007F]*"
"""For the API's document: any text without a control character."""
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def _one_line(text: str) -> str:
    if found := _CONTROL.search(text):
        raise ValueError(
            f"its character {found.start() + 1} is the control character U+{ord(found[0]):04X}; send one line of text"
        )
    return text


PartId = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PART),  # scanners end with CR or tab
    AfterValidator(_one_line),
    Field(json_schema_extra={"pattern": rf"^(?=.*\S){ONE_LINE}$"}),
]
FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NAME),
    AfterValidator(_one_line),
    Field(json_schema_extra={"pattern": f"^{ONE_LINE}$"}),
]

FILE_NAME: TypeAdapter[str] = TypeAdapter(FileName)
"""Checks a name that is no field of a schema. Raises pydantic's ValidationError."""
