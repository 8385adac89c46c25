"""`SECTION.FIELD=VALUE`: values as TOML has them, sections laid over each other, what there is not refused by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.config import Recipe
from anomaly.errors import UsageError
from anomaly.recipes import merged, parse_overrides, to_recipe
from anomaly.recipes.files import check_fields


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("training.steps=7", 7),
        ("training.steps = 7", 7),
        ("training.learning_rate=1e-3", 1e-3),
        ("training.augment=true", True),
        ("training.method=f-anogan", "f-anogan"),
        ('training.method="f-anogan"', "f-anogan"),
        ("network.hidden=[32, 16]", [32, 16]),
        ("score.feature_layer=a=b", "a=b"),
        ("score.feature_layer=", ""),
    ],
)
def test_a_value_is_tomls_and_needs_no_quotes(text: str, value: object) -> None:
    (fields,) = parse_overrides([text]).values()
    (found,) = fields.values()
    assert found == value
    assert type(found) is type(value)


def test_of_a_field_that_is_given_twice_the_last_counts() -> None:
    texts = ["training.steps=7", "network.width=8", "training.seed=1", "training.steps=9"]
    assert parse_overrides(texts) == {"training": {"steps": 9, "seed": 1}, "network": {"width": 8}}
    assert parse_overrides([]) == {}


@pytest.mark.parametrize("text", ["", "steps", "training.steps", "steps=7", "=7"])
def test_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected SECTION\.FIELD=VALUE, such as training\.steps=1000") as caught:
        parse_overrides([text])
    assert str(caught.value).startswith(f"--set {text}: ")


def test_an_unknown_section_or_field_says_which_there_are() -> None:
    with pytest.raises(UsageError) as section:
        parse_overrides(["trainig.steps=7"])
    assert str(section.value) == (
        "--set: there is no section 'trainig'; "
        "there are preprocess, network, auxiliary, features, training, search, score"
    )
    with pytest.raises(UsageError) as field:
        parse_overrides(["auxiliary.memory=7"])
    assert str(field.value) == (
        "--set: the section auxiliary has no field 'memory'; it has synthetic_defects, memory_bank, rotation"
    )
    with pytest.raises(UsageError, match="the section search has no field 'speed'; it has objective, start, steps"):
        parse_overrides(["search.speed=7"])


def test_a_field_outside_of_a_section_is_refused() -> None:
    with pytest.raises(UsageError, match=r"mine: training is one section; write its fields below \[training\]"):
        check_fields({"training": 7}, "mine")  # type: ignore[dict-item]


_values = st.integers() | st.booleans()
_layers = st.lists(
    st.dictionaries(st.sampled_from("ab"), st.dictionaries(st.sampled_from("xyz"), _values), max_size=2), max_size=4
)


@given(_layers)
def test_the_last_layer_that_has_a_field_says_it(layers: list[dict[str, dict[str, Any]]]) -> None:
    expected: dict[tuple[str, str], Any] = {}
    for layer in layers:
        expected |= {(section, field): v for section, fields in layer.items() for field, v in fields.items()}
    found = merged(*layers)
    assert {(section, field): v for section, fields in found.items() for field, v in fields.items()} == expected
    assert set(found) == {section for layer in layers for section in layer}


def test_every_field_of_a_recipe_can_be_set() -> None:
    whole = to_recipe({"training": {"method": "anogan"}}).model_dump(mode="json")
    assert set(whole) == set(Recipe.model_fields)
    texts = [f"{section}.{name}=1" for section, fields in whole.items() for name in fields]
    assert len(texts) > 40
    assert {section: set(fields) for section, fields in parse_overrides(texts).items()} == {
        section: set(fields) for section, fields in whole.items()
    }
