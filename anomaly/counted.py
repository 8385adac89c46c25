"""Numbers with their nouns, as messages have them."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Such as "1 row" and "1,200 rows"; `plural` is given where it is more than an s at the end."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
