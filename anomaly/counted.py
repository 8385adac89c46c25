"""Numbers as messages have them, with their nouns; shares in percent; and the sizes of pictures."""

import math

Size = tuple[int, int]
"""Height and width of a picture on disk in pixels: the order of an array's shape. PIL's sizes have the width first."""


def counted(number: float, noun: str, plural: str = "") -> str:
    """A number with its noun, as "1,200 rows" or "0.5 GPUs"; `plural` is where it is more than an s at the end."""
    return f"{number:,{'' if isinstance(number, int) else 'g'}} {noun if number == 1 else plural or f'{noun}s'}"


def percent(share: float | None) -> str:
    """A share in [0, 1] for people; a dash for None.

    It has one digit, and more where it would else read as none or all and is neither: 0.9996 is "99.96%".
    """
    if share is None:
        return "–"
    share = round(share, 9)  # what is nearer to none or all than this is the arithmetic's error
    texts = (f"{100 * share:.{digits}f}" for digits in range(1, 8))
    return next(text for text in texts if float(text) not in (0, 100) or share in (0, 1)) + "%"


def percent_as_given(share: float) -> str:
    """A share that somebody has set, with all its digits: 0.0005 is "0.05%", where `percent` would say "0.1%"."""
    texts = (f"{100 * share:.{digits}f}" for digits in range(1, 16))
    return next((text for text in texts if math.isclose(float(text), 100 * share)), f"{100 * share:g}") + "%"


def size_text(height: int, width: int) -> str:
    """A size for people, as "1,280 × 960": the width first."""
    return f"{width:,} × {height:,}"
