"""Times as text: in UTC, by ISO 8601, such as 2026-11-29T14:09:30.125+00:00. Equally precise texts sort as times do."""

from datetime import UTC, datetime
from typing import Literal

TimePrecision = Literal["seconds", "milliseconds"]


def utc_text(moment: datetime, precision: TimePrecision = "milliseconds") -> str:
    """A time as text, cut to the precision. What has no zone is taken for UTC.

    What lies beyond the calendar's ends in UTC is at them.
    """
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        moment = moment.replace(tzinfo=UTC)
    return moment.isoformat(timespec=precision)


def utc_now(precision: TimePrecision = "milliseconds") -> str:
    """This moment as `utc_text` has it."""
    return utc_text(datetime.now(UTC), precision)
