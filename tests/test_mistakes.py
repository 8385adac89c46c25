"""What pydantic refuses, in the words that users see."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from anomaly.config import Config, Recipe
from anomaly.config.mistakes import Mistake, mistakes_of

ROOT = Path(__file__).parents[1]


def refused(given: dict[str, object], kind: type[Config] = Recipe) -> list[Mistake]:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(given)
    return mistakes_of(caught.value)


def test_a_field_is_named_with_what_was_given() -> None:
    (mistake,) = refused({"training": {"steps": 0}})
    assert mistake == Mistake("training.steps", "Input should be greater than or equal to 1", 0)
    assert str(mistake) == "training.steps: Input should be greater than or equal to 1"
    assert mistake.sentence == "training.steps: Input should be greater than or equal to 1; got 0"


def test_what_a_section_or_a_recipe_refuses_is_one_sentence_alone() -> None:
    (of_section,) = refused({"auxiliary": {"memory_bank": 8}})
    assert of_section.sentence.startswith("the memory bank keeps features of")
    assert str(of_section) == f"auxiliary: {of_section.sentence}"
    (of_plan,) = refused({"preprocess": {"size": 100}})
    assert of_plan.sentence == str(of_plan) == of_plan.message
    assert of_plan.sentence.startswith("a DCGAN halves the side")


def test_all_mistakes_are_told_in_their_order() -> None:
    found = refused({"training": {"steps": 0}, "score": {"feature_weight": 2}})
    assert [mistake.where for mistake in found] == ["training.steps", "score.feature_weight"]


def test_no_other_module_takes_away_the_words_of_pydantic() -> None:
    files = [path for package in ("anomaly", "service") for path in (ROOT / package).rglob("*.py")]
    assert [path.name for path in files if "Value error, " in path.read_text("utf-8")] == ["mistakes.py"]
