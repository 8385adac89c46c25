"""Fonts of sheets: matplotlib's own, so that they look the same everywhere, or an installed one for what it lacks.

Names of kinds and folders may be in any script. Where no font here has their characters, their codes are drawn.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path

import matplotlib
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

REGULAR, BOLD = "DejaVuSans", "DejaVuSans-Bold"
_NO_CHARACTERS = "lastresort"  # fonts that have a box for every character
_WEIGHTS = {REGULAR: (400, "normal", "regular", "book"), BOLD: (700, "bold")}


def font_for(text: str, size: int, name: str = REGULAR) -> ImageFont.FreeTypeFont:
    """The font for a text that is `drawable`."""
    return _opened(_path_for(text, name) or _own(name), size)


def drawable(text: str) -> str:
    """The text as it can be drawn: where no font here has all its characters, those that are lacking by their codes.

    A code is a word of its own, as in "U+5212 75D5", so that a line can be parted between them.
    """
    if _path_for(text, REGULAR):
        return text
    parts = ((has, list(part)) for has, part in groupby(text, lambda each: _has(_own(REGULAR), each)))
    return " ".join("".join(part).strip() if has else f"U+{' '.join(map(_code, part))}" for has, part in parts).strip()


def why_codes(texts: Iterable[str]) -> str | None:
    """The sentence on the texts that are drawn with codes; None if there are none."""
    coded = [f"{text} is {drawable(text)}" for text in dict.fromkeys(texts) if drawable(text) != text]
    if not coded:
        return None
    return (
        f"no font here has all characters of these names, so the pictures have their codes: {', '.join(coded)}. "
        "Install a font that has them, such as Noto Sans CJK, and draw the pictures again."
    )


def _code(character: str) -> str:
    return f"{ord(character):04X}"


def _own(name: str) -> Path:
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"


@cache
def _path_for(text: str, name: str) -> Path | None:
    """The first font that has all characters; None if there is none."""
    return next((path for path in (_own(name), *_installed(name)) if _has(path, text)), None)


def _installed(name: str) -> Iterator[Path]:
    """The upright fonts of this machine, those of the right weight first."""
    found = [font for font in fontManager.ttflist if font.style == "normal"]
    found.sort(key=lambda font: (font.weight not in _WEIGHTS[name], "Sans" not in font.name, font.fname))
    for font in found:
        if _NO_CHARACTERS not in font.name.replace(" ", "").lower():
            yield Path(font.fname)


def _has(path: Path, text: str) -> bool:
    """Whether a font has all characters, and can be drawn with."""
    try:
        font = FT2Font(str(path))
        if not all(map(font.get_char_index, map(ord, text))):
            return False
        _opened(path, 16)
    except (OSError, RuntimeError):  # gone, damaged, or of pictures of another size
        return False
    return True


@cache
def _opened(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)
