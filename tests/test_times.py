"""Times as text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from anomaly.times import TimePrecision, utc_now, utc_text

NOON = datetime(2026, 11, 29, 12, 0, 30, 125_999, UTC)
EAST, WEST = timezone(timedelta(hours=2)), timezone(timedelta(hours=-2))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (NOON, "2026-11-29T12:00:30.125+00:00"),
        (NOON.replace(tzinfo=None), "2026-11-29T12:00:30.125+00:00"),
        (NOON.replace(microsecond=0), "2026-11-29T12:00:30.000+00:00"),
        (NOON.astimezone(EAST), "2026-11-29T12:00:30.125+00:00"),
        (datetime(1, 1, 1, tzinfo=EAST), "0001-01-01T00:00:00.000+00:00"),
        (datetime(9999, 12, 31, 23, tzinfo=WEST), "9999-12-31T23:00:00.000+00:00"),
    ],
)
def test_a_time_is_text_in_utc(moment: datetime, expected: str) -> None:
    assert utc_text(moment) == expected


def test_seconds_are_cut_and_not_rounded() -> None:
    assert utc_text(NOON.replace(microsecond=999_999), "seconds") == "2026-11-29T12:00:30+00:00"


@pytest.mark.parametrize("precision", ["seconds", "milliseconds"])
def test_now_is_between_before_and_after(precision: TimePrecision) -> None:
    before, now, after = (
        utc_text(datetime.now(UTC), precision),
        utc_now(precision),
        utc_text(datetime.now(UTC), precision),
    )
    assert before <= now <= after
