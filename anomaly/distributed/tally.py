"""What is known of an archive so far. Takes the same memory however many shards and images there are."""

import time
from collections import Counter
from dataclasses import dataclass, field

from anomaly.calibration import PValueCounts
from anomaly.data import Remarks
from anomaly.distributed.scoring import MAX_KINDS, ShardSummary
from anomaly.distributed.shards import Shard
from anomaly.distributed.tasks import Outcome

MAX_NAMED = 1000
"""Shards that are named with their reasons; more are counted only."""


@dataclass
class Tally:
    """Counts over shards; `failed` are the first shards that could not be scored, with the reasons.

    `remarks` say of how many of the images that this run has scored what is true of their files. `has_marks`: some
    results have a column of an earlier `--fdr`.
    """

    num_calibration: int
    num_shards: int = 0
    num_shards_failed: int = 0
    num_rows: int = 0
    num_failed: int = 0
    num_anomalous: int = 0
    num_scored: int = 0
    num_left_out: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    remarks: Remarks = field(default_factory=Remarks)
    has_marks: bool = False
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.p_values = PValueCounts(self.num_calibration)

    def add(self, outcome: Outcome[Shard, ShardSummary]) -> None:
        """One more shard."""
        self.num_shards += 1
        summary = outcome.result
        if summary is None:
            self.num_shards_failed += 1
            self.count({"a shard without results": 1})
            if len(self.failed) < MAX_NAMED:
                self.failed[outcome.item.name] = outcome.error or ""
            return
        self.num_rows += summary.num_rows
        self.num_failed += summary.num_failed
        self.num_anomalous += summary.num_anomalous
        self.num_scored += summary.num_scored
        self.num_left_out += summary.num_left_out
        self.p_values.add(summary.p_value_counts)
        self.has_marks |= summary.mark is not None
        self.remarks.update(summary.remarks)
        self.count(summary.errors)

    def count(self, errors: dict[str, int]) -> None:
        """Errors by kind; of more than MAX_KINDS kinds the later ones are counted as others."""
        for kind, num in errors.items():
            is_known = kind in self.errors or len(self.errors) < MAX_KINDS
            self.errors[kind if is_known else "other reasons"] += num

    @property
    def images_per_second(self) -> float:
        """The rate of the images that this run has scored itself."""
        return self.num_scored / max(self.seconds, 1e-9)

    @property
    def seconds(self) -> float:
        """The time since the tally was begun."""
        return time.monotonic() - self.started
