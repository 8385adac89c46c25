"""Where the history is kept: what its writer and its readers need of a store, be it a file or a database server.

One writing transaction is open at a time, in the whole store. So ids ascend in the order of the commits: whoever has
seen a row has seen all rows before it that were ever committed.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection, exc

from anomaly.errors import UsageError, first_line

NUM_READERS = 4
"""How many searches of one server run at once."""


class Store(Protocol):
    """A history's place. All of it blocks. What fails raises sqlalchemy.exc.SQLAlchemyError, OSError or UsageError."""

    retention_s: float
    """How long after one look at what is too old or too much the next is due."""

    def open(self) -> str | None:
        """Make or upgrade the tables. Why they cannot be written now, if that may end by itself.

        Raises UsageError, with what to do, if it will not.
        """

    def writing(self) -> AbstractContextManager[Connection]:
        """The one writing transaction, which is durable when this is left without an error."""

    def reading(
        self, *, oldest: int = ..., is_unwanted: Callable[[], bool] | None = ...
    ) -> AbstractContextManager[Connection]:
        """For one reader, who never waits for the writer. `oldest`: the oldest version that it knows how to read.

        A search fails once `is_unwanted` says so; at the latest when the store's own limits end it.
        """

    def new_ids(self, connection: Connection, num: int) -> Sequence[int]:
        """Ids for so many rows, ascending, each above all that were ever given."""

    def num_too_many(self, connection: Connection, max_bytes: int) -> int:
        """About how many of the oldest rows must go for the store to have no more bytes than that."""

    def is_same(self) -> bool:
        """Whether what is there is what is open, as far as that can be told without asking much."""

    def drop(self) -> None:
        """After a failure: let go of what is open. The next transaction opens it anew."""

    def close(self) -> None:
        """After `drop`, for good. Whoever still waits for an answer gets an error, as far as that can be done."""


EXPECTED = (exc.SQLAlchemyError, sqlite3.Error, OSError, UsageError)
"""What a store may raise when it cannot be used."""


def concerns_one(error: Exception) -> bool:
    """Whether an error is about the values of one row, and says nothing of what else waits."""
    if not isinstance(error, exc.DBAPIError):
        return not isinstance(error, exc.SQLAlchemyError | sqlite3.Error | OSError | MemoryError)
    if isinstance(error, exc.ProgrammingError | exc.NotSupportedError):
        return isinstance(error.orig, sqlite3.Error)  # PostgreSQL says so of tables that are gone, too
    return isinstance(error, exc.DataError | exc.IntegrityError)


def reason(error: Exception) -> str:
    """What went wrong, in one line: the database's own words, without the statement and its values."""
    said_by = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    return first_line(said_by).removesuffix(".")
