"""What pydantic refuses, in the words that users see."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from anomaly.config import Config, Recipe, SearchConfig
from anomaly.config.mistakes import MOST_SHOWN, Mistake, mistakes_of
from anomaly.errors import UsageError
from anomaly.recipes.overrides import parse_overrides
from anomaly.recipes.resolve import to_recipe

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


@pytest.mark.parametrize("section", ["training", "auxiliary", "search", "score", "network"])
def test_a_section_that_is_none_is_refused(section: str) -> None:
    (mistake,) = refused({section: 3})
    assert (mistake.where, mistake.given) == (section, 3)
    with pytest.raises(UsageError, match="dictionary"):
        to_recipe({section: 3})


def test_all_mistakes_are_told_in_their_order() -> None:
    found = refused({"training": {"steps": 0}, "score": {"feature_weight": 2}})
    assert [mistake.where for mistake in found] == ["training.steps", "score.feature_weight"]


FIELDS = [
    (section, field)
    for section, config in ((name, getattr(Recipe(search=SearchConfig()), name)) for name in Recipe.model_fields)
    for field in type(config).model_fields
]


@pytest.mark.parametrize("given", ["A" * 5000, f"[{'1, ' * 3000}]", "9" * 4000, "9" * 6000, "[" * 3000])
@pytest.mark.parametrize(("section", "field"), FIELDS)
def test_no_field_repeats_a_long_value(section: str, field: str, given: str) -> None:
    sections = parse_overrides([f"{section}.{field}={given}"])
    try:
        to_recipe(sections)
    except UsageError as error:
        sentences = str(error).split("; ")
        assert sentences[0].startswith(f"{section}.{field}")
        assert max(map(len, sentences)) < 250
    else:  # any text may be a layer's name, and some numbers have no bound
        assert (section, field) in {("score", "feature_layer"), ("network", "hidden")} or given.isdigit()


def test_of_a_long_value_the_beginning_is_shown_and_its_length() -> None:
    (mistake,) = refused({"preprocess": {"region": "A" * 4000}})
    assert mistake.sentence.endswith(f"give the mask with --region; got '{'A' * MOST_SHOWN}'… (4,000 characters)")
    assert "at 0x" not in mistake.sentence


@pytest.mark.parametrize(
    "text", ["A" * 5000, f"region={'A' * 5000}", f"{'a' * 5000}.steps=1", f"training.{'a' * 5000}=1"]
)
def test_what_is_no_field_is_shortened_too(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_overrides([text])
    assert len(str(caught.value)) < 600


def test_no_other_module_takes_away_the_words_of_pydantic() -> None:
    files = [path for package in ("anomaly", "service") for path in (ROOT / package).rglob("*.py")]
    assert [path.name for path in files if "Value error, " in path.read_text("utf-8")] == ["mistakes.py"]
