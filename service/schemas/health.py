"""Whether the server lives, and whether it can score."""

from typing import Literal

from service.schemas.base import Schema


class HealthAnswer(Schema):
    """The process answers."""

    status: Literal["alive"] = "alive"


class ReadyAnswer(Schema):
    """Whether the server can score; the lists name current versions as name/version.

    Where there are keys, a caller without one gets empty lists.
    """

    ready: bool
    loaded: list[str]
    loading: list[str]
    failed: list[str]
    message: str | None = None
    """Why it will not be ready again; left out while it may be."""
    history: str | None = None
    """Why scored images are not kept in the history now; left out while they are, and to callers without a key."""
