"""Shares, such as a false-alarm rate: read from what people write, and named in messages."""

AS_SHARE = "give 0.05 for 5 %"


def read_share(text: str | float) -> float:
    """A number; whether it lies between 0 and 1 is for whoever uses it.

    Raises:
        ValueError: it is no number; the message has it, and an example.
    """
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number, and a share lies between 0 and 1: {AS_SHARE}") from None
