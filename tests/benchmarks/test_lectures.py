import shlex

import pytest

from anomaly.recipes import read_recipe
from benchmarks.lectures import COMMON, RESULTS, SYSTEMS, to_markdown
from benchmarks.rows import read_rows


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_is_a_shipped_recipe(system: str) -> None:
    assert read_recipe(SYSTEMS[system][1]).sections["training"]


def test_rows_say_todays_command_of_each_system() -> None:
    rows = {row["system"]: row["command"] for row in read_rows(RESULTS)}
    options = {system: [each.format(models="out/lectures") for each in own] for system, own in SYSTEMS.items()}
    assert rows == {system: shlex.join(["anomaly", "train", "mnist", *COMMON, *own]) for system, own in options.items()}


def test_the_table_has_a_line_a_system_in_their_order() -> None:
    lines = to_markdown(read_rows(RESULTS)).splitlines()[2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == list(SYSTEMS)
