import errno
import inspect
import re
from pathlib import Path

import pytest

from anomaly import errors
from anomaly.errors import AnomalyError, first_line, reason_of
from tests.cli.calls import refused

TREE = errors.__doc__ or ""
CLASSES = {name: c for name, c in vars(errors).items() if inspect.isclass(c)}


def drawn_parents() -> dict[str, str]:
    """Each class of the tree in the module's docstring, with the class that its branch hangs from."""
    parents: dict[str, str] = {}
    above: dict[int, str] = {}
    for line in TREE.splitlines():
        found = re.match(r"^( {4}[│├└─ ]*)([A-Z]\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 4
            above[depth] = found[2]
            if depth > 1:
                parents[found[2]] = above[depth - 1]
    return parents


def test_the_drawn_tree_is_the_tree() -> None:
    assert drawn_parents() == {name: c.__mro__[1].__name__ for name, c in CLASSES.items() if c is not AnomalyError}
    assert len(CLASSES) == 21


@pytest.mark.parametrize("error", CLASSES.values(), ids=CLASSES)
def test_every_error_can_be_caught_as_one_and_shows_its_text_as_it_is(error: type[AnomalyError]) -> None:
    assert issubclass(error, AnomalyError)
    assert str(error("what is wrong, and what to do")) == "what is wrong, and what to do"
    assert error.__doc__


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EACCES, "Permission denied", "/plant/a.png"), "Permission denied"),
        (OSError("no space in the bucket"), "no space in the bucket"),
        (ValueError("embedded null byte"), "embedded null byte"),
    ],
)
def test_of_the_system_s_errors_its_words_are_said(error: Exception, expected: str) -> None:
    assert reason_of(error) == expected


@pytest.mark.parametrize("text", ["it failed", "it failed\nat line 3", "\n  it failed\n[SQL: SELECT 1]\n"])
def test_of_a_library_s_error_its_first_line_is_said(text: str) -> None:
    assert first_line(RuntimeError(text)) == "it failed"
    assert first_line(RuntimeError()) == ""


def test_no_message_has_the_system_s_number_nor_the_path_twice(tmp_path: Path) -> None:
    recipe = tmp_path / "own.toml"
    said = refused("recipes", "show", recipe)
    assert "Errno" not in said
    assert " ".join(said.split()).count("own.toml") == 1
