"""What clients of two servers were told in a round, and what the database has then: for `benchmarks.replicas`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What a client got, and when (seconds of a monotonic clock); `number` is None where no row was kept."""

    request_id: str
    image: int
    sent: float
    answered: float
    status: int
    number: int | None = None
    score: float | None = None


@dataclass
class Round:
    """What a round found; `problems` is empty if all is as it must be."""

    name: str
    answers: list[Answer]
    rows: list[tuple[Any, ...]]
    problems: list[str] = field(default_factory=list)

    def expect(self, holds: bool, problem: str) -> None:
        """Note a problem unless it holds."""
        if not holds:
            self.problems.append(problem)

    def line(self) -> str:
        """Of the table."""
        kept = sum(answer.number is not None for answer in self.answers)
        failed = sum(answer.status != 200 for answer in self.answers)
        slowest = max(answer.answered - answer.sent for answer in self.answers)
        verdict = "; ".join(self.problems) or "holds"
        return (
            f"| {self.name} | {len(self.answers):,} | {failed:,} | {kept:,} | {len(self.answers) - failed - kept:,} | "
            f"{len(self.rows):,} | {slowest:.2f} s | {verdict} |"
        )


def in_order(told: Sequence[Answer]) -> bool:
    """Whether every row has a higher id than all that had been answered when it was sent."""
    by_id = sorted(told, key=lambda answer: answer.number or 0, reverse=True)
    earliest = float("inf")
    for answer in by_id:
        if earliest < answer.sent:
            return False
        earliest = min(earliest, answer.answered)
    return True
