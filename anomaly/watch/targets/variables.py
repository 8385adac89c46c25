"""What a target takes from the environment, because every user of the machine can read a command line."""

import os

from anomaly.errors import UsageError


def value_of(name: str) -> str | None:
    """The value of this variable, None where it is not set.

    Raises:
        UsageError: it is empty. Else reports would go out unsigned, or by a connection without a user.
    """
    value = os.environ.get(name)
    if value is not None and not value.strip():
        raise UsageError(f"{name} is empty: give it a value, or unset it to go without")
    return value
