"""A folder that holds data sets is none itself."""

from pathlib import Path

import pytest

from anomaly.data.datasets.levels import check_level
from anomaly.errors import DataError


def check(*images: str, normal: tuple[str, ...] = ()) -> None:
    check_level(Path("d"), [Path("d") / image for image in images], normal)


@pytest.mark.parametrize(
    "images",
    [
        ("a.png", "2024/01/b.png", "2024/02/c.png"),
        ("line/test/1.png", "line/2.png"),
        ("cat/1.png", "dog/1.png", "good/1.png"),
        ("2024/good/1.png",),
    ],
)
def test_folders_of_pictures_are_no_data_sets(images: tuple[str, ...]) -> None:
    check(*images)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (("x/train/1.png", "x/test/1.png"), "a data set lies below it: d/x;.*Give d/x$"),
        (("x/Test/cut/1.png",), "Give d/x$"),
        (("a/b/train/good/1.png", "c/train/good/1.png"), "2 data sets lie below it: d/a/b, d/c;.*for example d/a/b$"),
        (("x/OK/1.png", "x/nok/1.png"), "Give d/x$"),
        (tuple(f"{i}/train/good/1.png" for i in range(9)), r"d/0, d/1, d/2, d/3, d/4, d/5 and 3 more;"),
    ],
)
def test_data_sets_below_are_listed(images: tuple[str, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        check(*images)


def test_classes_that_the_user_names_may_have_such_folders_in_them() -> None:
    check("cat/ok/1.png", "cat/old/1.png", "dog/1.png", normal=("cat",))
    with pytest.raises(DataError, match=r"Give d/cat$"):
        check("cat/train/ok/1.png", "dog/1.png", normal=("cat",))
