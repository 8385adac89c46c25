"""What `anomaly recipes try` says of each later recipe."""

import pytest

from anomaly.cli.recipes import _told
from anomaly.pipeline.contests import Contest, ContestOutcome, Trial


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (ContestOutcome.BETTER, "better, beyond chance"),
        (ContestOutcome.WORSE, "worse, so a stays"),
        (ContestOutcome.NOT_CLEARLY, "not clearly better, so a stays"),
        (ContestOutcome.BY_CHANCE, "that may be chance, so a stays"),
        (ContestOutcome.WORSE_BY_ONE, "but clearly worse by one way of spoiling, so a stays"),
    ],
)
def test_its_lead_the_interval_and_why_it_is_named_or_not(outcome: ContestOutcome, why: str) -> None:
    first, later = (Trial(name, None) for name in "ab")
    contest = Contest(later, first, 0.0312, (-0.0004, 0.12), outcome)
    assert _told(contest) == f"b against a: +3.1 points of AUROC (95% interval +0.0 to +12.0): {why}"
