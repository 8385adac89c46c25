"""The documents name what the program has."""

from pathlib import Path

import pytest

from service.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_the_guide_names_every_setting(name: str) -> None:
    assert f"ANOMALY_{name.upper()}`" in (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = [part.split(")")[0].split("#")[0] for part in text.split("](")[1:]]
    assert targets
    assert [target for target in targets if not target.startswith("http") and not (ROOT / target).exists()] == []
