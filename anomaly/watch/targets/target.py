"""What a target is."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from anomaly.pipeline.results import ResultRow


class DeliveryError(Exception):
    """Reports did not arrive; they are kept, and tried again. The text says why."""


class Target(Protocol):
    """Takes reports, whose ids tell a report that comes twice."""

    def deliver(self, rows: Sequence[ResultRow]) -> Iterator[int]:
        """Hand over the rows in order. Each number that comes is of rows that have arrived for good since the last.

        Raises:
            DeliveryError: the next row has not arrived.
        """

    def close(self) -> None:
        """Let go of files and connections."""
