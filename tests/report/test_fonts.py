"""Names in scripts that matplotlib's own font lacks: by an installed font, or by their codes."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from PIL import Image

from anomaly.report import fonts
from anomaly.report.fonts import BOLD, drawable, font_for, why_codes
from anomaly.report.sheets import Sheet, Text

SCRATCH, DENT = "划痕", "凹"
TILE = np.zeros((1, 1, 96, 96, 3), np.uint8)


def write_font(path: Path, characters: str) -> None:
    """A font in which each of the characters, none twice, is a square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(point)
    pen.closePath()
    square = pen.glyph()
    names = [".notdef", *(f"u{ord(each)}" for each in characters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(each): name for each, name in zip(characters, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SimpleNamespace]]:
    """The fonts of this machine: none, until a test adds some."""
    found: list[SimpleNamespace] = []
    monkeypatch.setattr(fonts, "fontManager", SimpleNamespace(ttflist=found))
    fonts._path_for.cache_clear()
    yield found
    fonts._path_for.cache_clear()


def add(found: list[SimpleNamespace], path: Path, name: str, characters: str) -> None:
    write_font(path, characters)
    found.append(SimpleNamespace(fname=str(path), name=name, style="normal", weight=400))


def test_what_the_own_font_has_is_drawn_with_it(installed: list[SimpleNamespace], tmp_path: Path) -> None:
    add(installed, tmp_path / "other.ttf", "Other Sans", "scrathé")
    assert drawable("scratché Ω") == "scratché Ω"
    assert font_for("scratché", 15).getname() == ("DejaVu Sans", "Book")
    assert font_for("scratché", 15, BOLD).getname() == ("DejaVu Sans", "Bold")
    assert why_codes(["scratché"]) is None


def test_another_font_that_has_all_characters_is_used(installed: list[SimpleNamespace], tmp_path: Path) -> None:
    add(installed, tmp_path / "boxes.ttf", "Last Resort", SCRATCH)  # one that has a box for every character
    add(installed, tmp_path / "half.ttf", "Half Sans", SCRATCH[0])
    (tmp_path / "damaged.ttf").write_bytes(b"no font")
    installed.append(SimpleNamespace(fname=str(tmp_path / "damaged.ttf"), name="A Sans", style="normal", weight=400))
    add(installed, tmp_path / "whole.ttf", "Whole Sans", SCRATCH)
    assert drawable(SCRATCH) == SCRATCH
    assert font_for(SCRATCH, 15).getname()[0] == "whole"
    assert why_codes([SCRATCH]) is None
    blank, named = (
        np.asarray(Image.open(BytesIO(Sheet("t", TILE, above=[Text(word)]).png()))) for word in ("", SCRATCH)
    )
    assert (blank != named).any(axis=2).sum() > 2 * 10**2  # two squares of some size


def test_without_such_a_font_codes_are_drawn_and_one_sentence_says_so() -> None:
    assert drawable(SCRATCH) == "U+5212 75D5"
    assert drawable(f"Typ {DENT} 2") == "Typ U+51F9 2"
    assert why_codes(["good", SCRATCH, DENT, SCRATCH]) == (
        "no font here has all characters of these names, so the pictures have their codes: 划痕 is U+5212 75D5, "
        "凹 is U+51F9. Install a font that has them, such as Noto Sans CJK, and draw the pictures again."
    )
