"""What several ranks ask of a recipe; `tests/cli/test_train_nproc.py` refuses one from end to end."""

import pytest

from anomaly.config import Recipe
from anomaly.errors import UsageError
from anomaly.pipeline.ranked import check_recipe
from anomaly.training.ranks import Ranks


def of_batches(size: int) -> Recipe:
    return Recipe.model_validate({"training": {"batch_size": size}})


@pytest.mark.parametrize(("batch_size", "num", "nearest"), [(8, 3, 9), (8, 8, 16), (8, 5, 10), (2, 2, 4), (31, 2, 32)])
def test_a_batch_that_ranks_cannot_share_is_refused_with_the_nearest_that_they_can(
    batch_size: int, num: int, nearest: int
) -> None:
    with pytest.raises(UsageError, match=f"^training.batch_size={batch_size} .* --set training.batch_size={nearest},"):
        check_recipe(of_batches(batch_size), Ranks(0, num))
    check_recipe(of_batches(nearest), Ranks(0, num))


def test_one_rank_takes_any_batch() -> None:
    check_recipe(of_batches(3), Ranks())
