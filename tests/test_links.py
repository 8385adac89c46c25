"""Links of all documents, and what the code says of documents, lead to files and headings that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path for folder in (".", "docs", "docs/adr", "deploy", "models/*/*") for path in ROOT.glob(f"{folder}/*.md")
)
CODE = sorted(
    path
    for folder in ("anomaly", "service", "benchmarks", "examples", "deploy")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".toml", ".html", ".js", ".yaml", ".yml", ".json", ".service"}
)


def anchors_of(text: str) -> set[str]:
    """What `#…` may be, as GitHub has it: headings in small letters without signs, the second with -1; `<a id>`."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    found = set(re.findall(r'<a id="([^"]+)"', prose))
    times: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.*?) *$", prose, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w -]", "", words).replace(" ", "-")
        found.add(f"{name}-{times[name]}" if name in times else name)
        times[name] = times.get(name, 0) + 1
    return found


def is_there(path: Path, anchor: str) -> bool:
    return path.exists() and (not anchor or anchor in anchors_of(path.read_text("utf-8")))


def test_anchors_are_those_of_github() -> None:
    text = "# One `two`, three\n```sh\n# no heading\n```\n## A [link](to.md) – here\n## Again\n### Again\n"
    text += '<a id="own"></a>\n'
    assert anchors_of(text) == {"one-two-three", "a-link--here", "again", "again-1", "own"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if not target.startswith("http")]
    parts = {target: target.partition("#") for target in targets}
    assert [
        target
        for target, (file, _, anchor) in parts.items()
        if not is_there(page.parent / file if file else page, anchor)
    ] == []


def test_documents_that_the_code_names_are_there() -> None:
    named = {
        (file, anchor)
        for path in CODE
        for file, anchor in re.findall(r"(?<![\w/.-])(docs/[a-z0-9/-]+\.md)(?:#([\w-]+))?", path.read_text("utf-8"))
    }
    assert len(named) > 10
    assert sorted(pair for pair in named if not is_there(ROOT / pair[0], pair[1])) == []
