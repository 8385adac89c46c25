"""Which store a place names: a file, or a database by its URL."""

from pathlib import Path

from pydantic import SecretStr

from anomaly.extras import require
from service.records.history.sqlite import SqliteStore
from service.records.history.store import Store


def store_of(place: Path | SecretStr) -> Store:
    """The store of a file's path, or of a URL, which may have a password. Raises UsageError."""
    if isinstance(place, Path):
        return SqliteStore(place)
    require("A history in PostgreSQL", "postgres", "psycopg")
    from service.records.history.postgres import PostgresStore

    return PostgresStore(place.get_secret_value())
