"""Recipes as TOML files, and how one becomes the recipe for given images."""

from anomaly.recipes.files import RecipeFile, Sections, read_recipe, recipe_names
from anomaly.recipes.overrides import merged, options_of, parse_overrides
from anomaly.recipes.resolve import AUTO, BY_IMAGES, Resolved, candidates, resolve, to_recipe
from anomaly.recipes.survey import Survey, beyond_note, range_note, scale_note, sides, stretched_region_note, survey
from anomaly.recipes.unread import check_read
from anomaly.recipes.value_range import few_beyond, peaks_of

__all__ = [
    "AUTO",
    "BY_IMAGES",
    "RecipeFile",
    "Resolved",
    "Sections",
    "Survey",
    "beyond_note",
    "candidates",
    "check_read",
    "few_beyond",
    "merged",
    "options_of",
    "parse_overrides",
    "peaks_of",
    "range_note",
    "read_recipe",
    "recipe_names",
    "resolve",
    "scale_note",
    "sides",
    "stretched_region_note",
    "survey",
    "to_recipe",
]
