"""The documents and help texts: paths in them exist, and "for each" is written out."""

import re
from pathlib import Path

import pytest

from tests.cli.help import FOLDER

ROOT = Path(__file__).parents[1]
MEASURED = "experiments.md"  # speaks of what was, too
PAGES = [ROOT / "README.md", *(path for path in sorted((ROOT / "docs").glob("*.md")) if path.name != MEASURED)]
RECORDS = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "adr").glob("*.md"))]
PROSE = [*PAGES, ROOT / "docs" / MEASURED, *RECORDS]
HELP_TEXTS = sorted(FOLDER.glob("*.txt"))
RECIPES = sorted((ROOT / "anomaly" / "recipes").rglob("*.toml"))
SOURCES = [
    path
    for name in ("anomaly", "service", "benchmarks", "examples")
    for path in sorted((ROOT / name).rglob("*"))
    if path.suffix in (".py", ".js", ".html")
]

GONE = {  # the files that these records tell of have another name today
    "0007-turns-and-room.md": {"service/admission.py", "service/turns.py"},
    "0008-peers.md": {"service/protocol.py", "tests/service/test_protocol.py", "service/forms.py"},
    "0012-scoring-calls-directly.md": {"service/shortcut.py"},
    "0018-refused-at-the-door.md": {"service/door.py"},
    "0026-tiff-and-jpeg.md": {"tests/data/test_tiff.py", "tests/data/test_jpeg.py"},
}
PATHS = re.compile(r"(?<![\w/.<>:-])(?:\.ci|anomaly|benchmarks|deploy|docs|examples|service|tests)/[\w./*-]*\w/?")
PLACEHOLDER = re.compile(r"(^|/)[A-Z]{4,}\b")  # as in anomaly/recipes/NAME.toml

COUNTED = (
    r"bytes?|column|core|element|file|image|images|line|message|ms|object|one|output|picture|pictures|place|point|"
    r"process|rank|request|requests|row|rows|sentence|step|steps|stream|task|test|tile|value|worker"
)
ONE = r"one (?!adds |and |has |of |is |in |on |to |with )\w+"
FOR_EACH = re.compile(rf"\b(?:{ONE}|a (?:{COUNTED})|{COUNTED}) an? (\w+)", re.IGNORECASE)
UNITS = {"second", "minute", "hour", "day", "side", "time", "pixel", "sample"}
ALLOWED = ("Between requests a connection", "for small images a temporary file", "How many requests a key may make")


def paths_in(text: str) -> set[str]:
    """Paths of this project in code spans outside of code blocks, without placeholders."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    found = {path for span in re.findall(r"`([^`\n]+)`", prose) for path in PATHS.findall(span)}
    return {path for path in found if not PLACEHOLDER.search(path)}


def missing_from(path: Path) -> set[str]:
    return {named for named in paths_in(path.read_text("utf-8")) if not any(ROOT.glob(named))}


@pytest.mark.parametrize("path", [*PAGES, *RECORDS], ids=lambda path: path.name)
def test_paths_in_code_spans_exist(path: Path) -> None:
    assert missing_from(path) == GONE.get(path.name, set())


def test_there_are_paths_to_check() -> None:
    assert len({named for path in PAGES for named in paths_in(path.read_text("utf-8"))}) > 10
    assert paths_in("`anomaly/no.py`, `x anomaly/data/tiff*.py y`, `anomaly/recipes/NAME.toml`, `s3://a/docs/b`") == {
        "anomaly/no.py",
        "anomaly/data/tiff*.py",
    }


def riddles_in(text: str) -> list[str]:
    """Where "a row a model" stands for "a row for each model"."""
    return [match.group() for match in FOR_EACH.finditer(text) if match.group(1) not in UNITS]


@pytest.mark.parametrize("path", [*PROSE, *HELP_TEXTS, *RECIPES, *SOURCES], ids=lambda path: path.name)
def test_for_each_is_written_out(path: Path) -> None:
    paragraphs = re.sub(r"\n\s*\n", "\n.\n", path.read_text("utf-8"))  # a title is no part of the next sentence
    text = " ".join(re.sub(r"[│╭╮╰╯─#]", " ", paragraphs).split())
    for phrase in ALLOWED:
        text = text.replace(phrase, "")
    assert riddles_in(text) == []


def test_the_form_is_known() -> None:
    riddles = "A row a model. One a GPU; one rank a GPU. 0.2 ms of a core an image. Bytes a row, requests a second."
    assert riddles_in(riddles) == ["A row a model", "One a GPU", "one rank a GPU", "a core an image", "Bytes a row"]
