"""Which store a place names: a file, or a database by its URL; and what is done to it from outside a server."""

from contextlib import closing
from pathlib import Path

from pydantic import SecretStr

from anomaly.errors import UsageError
from anomaly.extras import require
from service.records.history.sqlite import SqliteStore
from service.records.history.store import EXPECTED, Store, reason
from service.records.history.streams import forget_drift, has_rows, models_of


def store_of(place: Path | SecretStr) -> Store:
    """The store of a file's path, or of a URL, which may have a password. Raises UsageError."""
    if isinstance(place, Path):
        return SqliteStore(place)
    require("A history in PostgreSQL", "postgres", "psycopg")
    from service.records.history.postgres import PostgresStore

    return PostgresStore(place.get_secret_value())


def restart_drift(place: Path | SecretStr, model: str) -> int:
    """Let the drift of a model, or of one bundle by its digest, begin anew in a history that is there.

    Tells of how many versions.

    Raises UsageError, also for a model that has no row there; the message names those that have.
    """
    try:
        with closing(store_of(place)) as store:
            with store.reading():  # else it would be made
                pass
            try:
                with store.writing() as connection:
                    num = forget_drift(model, connection)
                    known = (model,) if num or has_rows(model, connection) else models_of(connection)
            finally:
                store.drop()
    except UsageError:
        raise
    except EXPECTED as error:
        raise UsageError(f"the history {place} cannot be used: {reason(error)}") from error
    if model not in known:
        there_are = f"there are those of {', '.join(known)}" if known else "it has none at all"
        raise UsageError(
            f"the history {place} has no rows of the model {model!r}; {there_are}. If they were deleted as too old, "
            "give the digest of its bundle in place of its name; GET /models/NAME/drift tells it (this is also said of "
            "a digest without rows whose drift has begun anew already)"
        )
    return num
