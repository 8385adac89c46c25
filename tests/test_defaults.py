"""What the library, the command line and the service do when nothing else is said is written once."""

import inspect
import re
from pathlib import Path

import pytest

from anomaly.data import Limits
from anomaly.defaults import ALPHA, MAX_PIXELS
from anomaly.inference import Detector
from service.settings import Settings
from tests.cli.calls import command_of, verbs_of
from tests.test_structure import HELP, imported_by

ROOT = Path(__file__).parents[1]
FILES = [path for package in ("anomaly", "service") for path in (ROOT / package).rglob("*.py")]


def test_the_command_line_the_library_and_the_service_agree() -> None:
    given = {
        (" ".join(verb), parameter.name): parameter.default
        for verb in verbs_of()
        for parameter in command_of(verb).params
        if parameter.name in ("alpha", "max_pixels")
    }
    assert {default for (_, name), default in given.items() if name == "max_pixels"} == {MAX_PIXELS}
    assert {given[verb, "alpha"] for verb in ("score", "evaluate", "calibrate", "watch", "archive")} == {ALPHA}
    settings = Settings.model_fields
    assert (settings["alpha"].default, settings["max_pixels"].default) == (ALPHA, MAX_PIXELS)
    assert inspect.signature(Detector.score).parameters["alpha"].default == ALPHA
    assert Limits().max_pixels == MAX_PIXELS


@pytest.mark.parametrize("number", [r"alpha\w*\b[^\n=]*(=|default=)\s*0\.05", r"\b64_000_000\b", r"\b178_956_970\b"])
def test_no_other_module_has_the_number(number: str) -> None:
    named = [path.name for path in FILES if re.search(number, path.read_text("utf-8"), re.IGNORECASE)]
    assert named == ["defaults.py"]


def test_help_waits_for_no_array() -> None:
    assert imported_by(HELP, ("numpy", "torch")) == set()
