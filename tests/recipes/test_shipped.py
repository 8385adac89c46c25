"""The recipes that are shipped: each says for what it is, what it costs and reached; shown, each is itself again."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from anomaly.recipes import Survey, read_recipe, recipe_names, resolve, to_recipe
from benchmarks.lectures import RESULTS, SYSTEMS
from benchmarks.rows import read_rows
from tests.cli.calls import done

PICTURES = r"(Small pictures|Large pictures|Surfaces and parts|Parts and surfaces)"
SURVEYS = [Survey(5000, 28, 28, has_colour=False), Survey(50, 700, 900, has_colour=True)]


@pytest.mark.parametrize("name", recipe_names())
def test_it_begins_with_what_for_what_it_costs_and_what_it_reached(name: str) -> None:
    file = read_recipe(name)
    about = " ".join(file.about)
    assert re.match(rf"{PICTURES}\b.*\bcosts?\b.*\breached\b", about)
    assert len(file.about[0]) > 30
    assert not re.search(r"[A-Z]+_[A-Z]+|\b[A-Z]{4,} %|BIGAN\b", about), "a figure is missing"


def test_the_systems_of_the_lectures_tell_what_was_measured() -> None:
    """Costs and AUROC in their comments are those of benchmarks/results/lectures.jsonl."""
    rows = {row["system"]: row for row in read_rows(RESULTS)}
    told = set()
    for system, options in SYSTEMS.items():
        about, row = " ".join(read_recipe(options[1]).about), rows[system]
        if "a BiGAN takes" not in about:
            continue
        told.add(options[1])
        assert f"costs {row['train_core_s']:.0f} s of processor time" in about
        assert f"and {row['score_core_ms']:.0f} ms to score an image" in about
        assert f"AUROC of {100 * row['auroc_all_terms']:.1f} %" in about
        assert f"PCA {100 * row['pca']:.1f})" in about
    lectures = files("anomaly.recipes").joinpath("lectures").iterdir()
    assert told == {path.name.removesuffix(".toml") for path in lectures if path.name.endswith(".toml")}


@pytest.mark.parametrize("name", recipe_names())
def test_it_sets_something_and_no_more_than_it_needs(name: str) -> None:
    """Sizes and channels of small pictures follow from the images; what a recipe sets twice it need not say."""
    sections = read_recipe(name).sections
    assert "method" in sections["training"]
    assert "channels" not in sections.get("preprocess", {})
    assert "seed" not in sections["training"]


def test_all_are_listed_with_their_first_sentence() -> None:
    lines = done("recipes", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == recipe_names()
    listed = " ".join(" ".join(lines).split())
    assert all(f"{name} {read_recipe(name).first_sentence}" in listed for name in recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_shown_into_a_file_it_is_the_same_recipe(name: str, tmp_path: Path) -> None:
    shown = done("recipes", "show", name).stdout
    path = tmp_path / "mine.toml"
    path.write_text(shown, encoding="utf-8")
    assert read_recipe(str(path)).about == read_recipe(name).about
    for found in SURVEYS:
        ours, theirs = (resolve(each, {}, found).recipe for each in (name, str(path)))
        assert ours.model_dump() == theirs.model_dump()
    assert read_recipe(str(path)).sections == read_recipe(name).sections
    assert done("recipes", "show", path).stdout == shown
    for section, config in resolve(name, {}, SURVEYS[0]).recipe:
        fields = [] if config is None else list(type(config).model_fields)
        lines = [rf"^((# )?{field} = \S.*|# {field}: (by the images|not set))$" for field in fields]
        assert all(re.search(line, shown, re.MULTILINE) for line in lines), section


@pytest.mark.parametrize("name", recipe_names())
def test_every_line_that_is_shown_may_be_taken(name: str) -> None:
    """Without their # all lines are one recipe, the same, but for what has no value, or the images decide."""
    shown = done("recipes", "show", name).stdout
    lines = [line.removeprefix("# ") for line in shown.splitlines()[len(read_recipe(name).about) :]]
    by_images = {line.removesuffix(": by the images") for line in lines if line.endswith(": by the images")}
    assert by_images == {"size", "channels", "range"} - set(read_recipe(name).sections.get("preprocess", {}))
    told = (": by the images", ": not set", "] is left away: there is none")
    sections = tomllib.loads("\n".join(line for line in lines if not line.endswith(told)))
    ours, expected = to_recipe(sections), to_recipe(read_recipe(name).sections)
    assert ours == expected
    unset = {line.removesuffix(": not set") for line in lines if line.endswith(": not set")}
    values = {field: value for _, config in expected if config is not None for field, value in config}
    assert unset == {field for field, value in values.items() if value is None}
