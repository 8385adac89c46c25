"""What several ranks ask of a recipe; `tests/cli/test_train_nproc.py` refuses one from end to end."""

from pathlib import Path
from typing import Any

import pytest

from anomaly.config import Recipe
from anomaly.errors import UsageError
from anomaly.pipeline.ranked import check_batch
from anomaly.pipeline.train import TrainOptions, train_bundle


def of_batches(size: int) -> Recipe:
    return Recipe.model_validate({"training": {"batch_size": size}})


@pytest.mark.parametrize(("batch_size", "num", "nearest"), [(8, 3, 9), (8, 8, 16), (8, 5, 10), (2, 2, 4), (31, 2, 32)])
def test_a_batch_that_ranks_cannot_share_is_refused_with_the_nearest_that_they_can(
    batch_size: int, num: int, nearest: int
) -> None:
    with pytest.raises(UsageError, match=f"^training.batch_size={batch_size} .* --set training.batch_size={nearest},"):
        check_batch(of_batches(batch_size), num)
    check_batch(of_batches(nearest), num)


def test_one_rank_takes_any_batch() -> None:
    check_batch(of_batches(3), 1)


class StartedError(Exception):
    """What the launcher of these tests raises."""


@pytest.mark.parametrize(
    ("recipe", "training", "nproc", "said"),
    [
        ("digits", {}, 3, "batch_size=64 .* --set training.batch_size=63,"),
        ("surfaces", {}, 5, "batch_size=8 .*"),
        ("digits", {"batch_size": 7}, 2, "batch_size=7 .*"),
        ("auto", {"batch_size": 7}, 2, "batch_size=7 .*"),
        ("digits", {"steps": 0}, 2, "training.steps: "),
        ("digits", {"stepz": 1}, 2, "the section training has no field 'stepz'"),
        ("no-such", {}, 2, "there is no recipe 'no-such'"),
        ("digits", {}, 4, None),
        ("digits", {"batch_size": 9}, 3, None),
        ("auto", {}, 3, None),  # which the images decide
    ],
)
def test_what_is_known_before_is_refused_before_a_process_starts(
    recipe: str, training: dict[str, Any], nproc: int, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(*arguments: object) -> Path:
        raise StartedError

    monkeypatch.setattr("anomaly.pipeline.train.launch", launch)
    options = TrainOptions("digits", tmp_path / "m", recipe, {"training": training}, device="cpu", nproc=nproc)
    with pytest.raises(UsageError if said else StartedError, match=said):
        train_bundle(options)
