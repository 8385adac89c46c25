"""A release has one number, wherever it stands."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_number_is_that_of_the_newest_release_in_the_changelog() -> None:
    number = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(number)}\] - \d{{4}}-\d{{2}}-\d{{2}}", headings[1])
    labels = re.findall(r'image\.version="(.+)"', (ROOT / "Dockerfile").read_text("utf-8"))
    assert labels == [number]
