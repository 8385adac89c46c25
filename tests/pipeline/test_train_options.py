"""What a training may be asked for in Python: paths as texts, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from anomaly.config import Recipe
from anomaly.errors import UsageError
from anomaly.pipeline.train import TrainOptions
from anomaly.pipeline.trial import TrialOptions

DATA: dict[str, Any] = {"data": "digits", "out": "out/m"}


def test_paths_may_be_texts() -> None:
    given: dict[str, Any] = {"out": "out/m", "region": "r.png", "init_decoder": "m", "tensorboard": "t"}
    paths: dict[str, Any] = {name: Path(text) for name, text in given.items()}
    recipe: Any = Path("a/my.toml")
    assert TrainOptions("digits", recipe=recipe, **given) == TrainOptions("digits", recipe="a/my.toml", **paths)
    assert TrainOptions(**DATA).region is None
    region: Any = "r.png"
    assert TrialOptions("digits", region=region) == TrialOptions("digits", region=Path("r.png"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"out": None}, "^out is None; expected a path, as a text or a pathlib.Path$"),
        ({"region": 3}, "^region is 3; expected a path"),
        ({"recipe": None}, "^recipe is None; expected the name of a recipe or a file that ends in .toml"),
        ({"recipe": Recipe()}, "^recipe is Recipe.*; its fields are set by overrides$"),
        ({"overrides": None}, "^overrides is None; expected fields by section"),
    ],
)
def test_what_is_of_another_kind_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        TrainOptions(**DATA | changes)
