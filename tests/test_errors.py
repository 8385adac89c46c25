import inspect
import re

import pytest

from anomaly import errors
from anomaly.errors import AnomalyError

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
