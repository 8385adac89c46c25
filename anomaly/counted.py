"""Numbers as messages have them, with their nouns; and the sizes of pictures."""

Size = tuple[int, int]
"""Height and width of a picture on disk in pixels: the order of an array's shape. PIL's sizes have the width first."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, as "1,200 rows"; `plural` is given where it is more than an s at the end."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def size_text(height: int, width: int) -> str:
    """A size for people, as "1,280 × 960": the width first."""
    return f"{width:,} × {height:,}"
