"""The help texts, which are checked in so that a change of them is seen."""

import pytest

from tests.cli.calls import verbs_of
from tests.cli.help import COLUMNS, FOLDER, help_text, path_of


@pytest.mark.parametrize("verb", verbs_of())
def test_help_is_as_it_is_checked_in(verb: tuple[str, ...]) -> None:
    path = path_of(verb)
    assert path.is_file(), "a new verb: run `python -m tests.cli.help` and check what it writes"
    assert path.read_text(encoding="utf-8") == help_text(verb), "run `python -m tests.cli.help` and check the change"


def test_no_text_is_left_of_a_verb_that_is_gone() -> None:
    assert {path_of(verb) for verb in verbs_of()} == set(FOLDER.iterdir())


def test_train_fits_60_lines() -> None:
    assert len(help_text(("train",)).splitlines()) <= 60


@pytest.mark.parametrize("verb", verbs_of())
def test_no_line_is_wider_than_the_terminal(verb: tuple[str, ...]) -> None:
    assert max(map(len, help_text(verb).splitlines())) <= COLUMNS
