"""What all schemas share: their base, the shape of errors, and which bundle answered."""

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """Base: fields are documented where they are declared, and unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ErrorDetail(Schema):
    """What went wrong."""

    code: str
    """Stable: programs may rely on it."""
    message: str
    """A sentence for people."""


class ErrorAnswer(Schema):
    """Every error has this shape."""

    error: ErrorDetail


class ModelIdentity(Schema):
    """Which bundle answered."""

    model: str
    version: int
    digest: str
    """SHA-256 over all of the bundle's files."""
