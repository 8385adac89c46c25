"""Numbers with their nouns, and the version."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from anomaly.counted import counted, percent, percent_as_given
from anomaly.data import LeftOut, Why, left_out_sentences


@pytest.mark.parametrize(
    ("number", "plural", "expected"),
    [
        (0, "", "0 rows"),
        (1, "", "1 row"),
        (1200, "", "1,200 rows"),
        (1, "ROWS", "1 row"),
        (2, "ROWS", "2 ROWS"),
        (1.0, "", "1 row"),
        (0.5, "", "0.5 rows"),
        (2.0, "", "2 rows"),
        (1234567, "", "1,234,567 rows"),
    ],
)
def test_one_is_one_and_all_else_are_many(number: float, plural: str, expected: str) -> None:
    assert counted(number, "row", plural) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (None, "–"),
        (0.0, "0.0%"),
        (1.0, "100.0%"),
        (0.05, "5.0%"),
        (0.875, "87.5%"),
        (0.999821, "99.98%"),
        (0.9999, "99.99%"),
        (0.00004, "0.004%"),
        (1 - 2**-53, "100.0%"),
        (2**-53, "0.0%"),
    ],
)
def test_only_none_is_0_percent_and_only_all_is_100_percent(share: float | None, expected: str) -> None:
    assert percent(share) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.05, "5.0%"), (0.2, "20.0%"), (0.07, "7.0%"), (0.0005, "0.05%"), (0.0125, "1.25%"), (1e-6, "0.0001%")],
)
def test_a_share_that_was_set_has_all_its_digits(share: float, expected: str) -> None:
    assert percent_as_given(share) == expected
    assert percent_as_given(1 / 3).startswith("33.3333")


@pytest.mark.parametrize("why", Why)
def test_one_file_left_out_is_told_as_one(why: Why) -> None:
    assert left_out_sentences([LeftOut("a", why)]) == [f"left out: 1 {why.of_one}, such as a"]
    assert left_out_sentences([LeftOut("a", why)] * 2) == [f"left out: 2 {why.value}, such as a"]


def test_the_version_is_printed_without_torch() -> None:
    program = "import sys; from anomaly.cli import app; app(['--version'], standalone_mode=False)"
    asked = f"{program}; assert 'torch' not in sys.modules and 'pydantic_settings' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == f"{version('anomaly')}\n"
