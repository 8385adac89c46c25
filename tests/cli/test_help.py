"""The help texts, which are checked in so that a change of them is seen."""

import re

import pytest
from rich.text import Text

from tests.cli.calls import command_of, verbs_of
from tests.cli.help import COLUMNS, FOLDER, help_text, path_of, shown


@pytest.mark.parametrize("verb", verbs_of())
def test_help_is_as_it_is_checked_in(verb: tuple[str, ...]) -> None:
    path = path_of(verb)
    assert path.is_file(), "a new verb: run `python -m tests.cli.help` and check what it writes"
    assert path.read_text(encoding="utf-8") == help_text(verb), "run `python -m tests.cli.help` and check the change"


def test_no_text_is_left_of_a_verb_that_is_gone() -> None:
    assert {path_of(verb) for verb in verbs_of()} == set(FOLDER.iterdir())


def test_train_fits_60_lines() -> None:
    assert shown(("train",)).count("\n") <= 60  # blank lines are lines of a terminal too


def test_each_option_of_train_is_in_a_panel_of_its_subject() -> None:
    """Beside --out and --help, which are of no subject."""
    options = shown(("train",)).partition("─ Options ─")[2].partition("╰")[0]
    assert re.findall(r" (--[a-z-]+)", options) == ["--out", "--help"]


def test_the_program_has_its_name() -> None:
    assert help_text(("train",)).startswith("Usage: anomaly train ")


@pytest.mark.parametrize("verb", verbs_of())
def test_no_line_is_wider_than_the_terminal(verb: tuple[str, ...]) -> None:
    assert max(map(len, help_text(verb).splitlines())) <= COLUMNS


@pytest.mark.parametrize("verb", verbs_of())
def test_no_words_of_a_help_text_are_taken_for_markup(verb: tuple[str, ...]) -> None:
    """Such as "[default: by the images]", of which nothing is shown."""
    for parameter in command_of(verb).params:
        told = getattr(parameter, "help", None) or ""
        assert Text.from_markup(told).plain == told
