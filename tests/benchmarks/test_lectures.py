import shlex
from itertools import pairwise

import pytest

from anomaly.recipes import Survey, options_of, read_recipe, resolve
from benchmarks.lectures import RESULTS, SYSTEMS, all_options, to_markdown
from benchmarks.rows import read_rows


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_is_a_shipped_recipe(system: str) -> None:
    assert read_recipe(SYSTEMS[system][1]).sections["training"]


def test_rows_say_todays_command_of_each_system() -> None:
    rows = {row["system"]: row["command"] for row in read_rows(RESULTS)}
    options = {
        system: [each.format(models="out/lectures") for each in all_options(SYSTEMS[system])] for system in SYSTEMS
    }
    assert rows == {system: shlex.join(["anomaly", "train", "mnist", *given]) for system, given in options.items()}


@pytest.mark.parametrize("system", SYSTEMS)
def test_todays_command_of_each_system_is_taken(system: str) -> None:
    given = all_options(SYSTEMS[system])
    sets = [value for name, value in pairwise(given) if name == "--set"]
    size = next((int(value) for name, value in pairwise(given) if name == "--size"), None)
    name = given[given.index("--recipe") + 1]
    assert resolve(name, options_of(sets, size=size, steps=2000), Survey(5000, 28, 28, has_colour=False)).name == name


def test_the_table_has_a_line_a_system_in_their_order() -> None:
    lines = to_markdown(read_rows(RESULTS)).splitlines()[2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == list(SYSTEMS)
