"""Makes the recipe that is trained from a recipe's name, the fields that a user sets, and the images.

The images decide what is left open: the side, the channels, and, with "auto", which recipe it is.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from anomaly.config import Recipe, Resize
from anomaly.config.mistakes import mistakes_of
from anomaly.config.places import PACKAGE
from anomaly.errors import UsageError
from anomaly.extras import is_installed
from anomaly.recipes.files import RecipeFile, Sections, check_fields, read_recipe
from anomaly.recipes.overrides import merged
from anomaly.recipes.survey import Survey
from anomaly.recipes.unread import check_read

AUTO = "auto"
SMALL_SIDE = 64  # pixels; larger models are slow to train, so only a user or a recipe chooses them
MODERATE_SIDE = 1024  # pixels; larger pictures keep their resolution, in which small defects can be seen
FEW_IMAGES = 1000
MAX_PIXELS_LEARNT = 10**9  # of all images, where they keep their shapes: minutes on two cores
_MIN_SIDE, _MAX_SIDE = 8, 256
_PRETRAINED = ("parts", "large-parts")


@dataclass(frozen=True)
class Resolved:
    """A recipe in full, the name of the file it began as, and why it was chosen, "" where the user named it."""

    recipe: Recipe
    name: str
    reason: str = ""


def resolve(name: str, overrides: Sections, found: Survey) -> Resolved:
    """The recipe for these images.

    Raises:
        UsageError: there is no such recipe, it is no TOML, its fields do not fit together, or a user's own
            field has no effect.
    """
    reason = ""
    by_images = {section: {name: of(found) for name, of in fields.items()} for section, fields in BY_IMAGES.items()}
    if name == AUTO:
        name, reason = _choose(found, has_size="size" in overrides.get("preprocess", {}))
    file = read_recipe(name)
    check_fields(overrides, "what is set on top of it")
    sections = merged(by_images, file.sections, overrides)
    if reason and "size" not in overrides.get("preprocess", {}):
        sections["preprocess"]["size"] = min(sections["preprocess"]["size"], _side_for(found, _MAX_SIDE))
    try:
        recipe = to_recipe(sections)
    except UsageError as error:
        if not reason:
            raise
        if str(error) == _mistake_of(merged(by_images, overrides)):  # wrong without the recipe too: told by itself
            raise
        raise UsageError(
            f"recipe {name}, chosen for {reason}, does not fit: {error}; or choose another recipe"
        ) from None
    if recipe.preprocess.resize is Resize.WHOLE and recipe.preprocess.scale == "auto":
        sections["preprocess"]["scale"] = _scale_for(found)
        recipe = to_recipe(sections)
    _check_used(overrides, recipe)
    try:
        check_read(_given(file, overrides), recipe)
    except UsageError as error:
        raise UsageError(f"recipe {name}, chosen for {reason}: {error}") if reason else error from None
    return Resolved(recipe, file.name, reason)


def candidates(found: Survey) -> tuple[str, ...]:
    """The recipes that may suit these images, the one that "auto" takes first: what `anomaly recipes try` compares."""
    first, _ = _choose(found, has_size=False)
    if found.long_side <= SMALL_SIDE:
        others = ("digits", "few-images", "upright-objects")
    elif found.long_side > _MAX_SIDE:
        others = ("parts", "large-parts", "surfaces")
    else:
        others = ("parts", "surfaces", "digits")
    usable = [name for name in others if is_installed(PACKAGE) or name not in _PRETRAINED]
    return (first, *(name for name in usable if name != first))


def to_recipe(sections: Mapping[str, Any]) -> Recipe:
    """Checked, and with all defaults. Raises UsageError, with a sentence for each mistake."""
    try:
        return Recipe.model_validate(sections)
    except ValidationError as error:
        raise UsageError("; ".join(mistake.sentence for mistake in mistakes_of(error))) from None


def _mistake_of(sections: Sections) -> str | None:
    try:
        to_recipe(sections)
    except UsageError as error:
        return str(error)
    return None


def _given(file: RecipeFile, overrides: Sections) -> Sections:
    """What a user has set: of a shipped recipe what is on top of it; of a search that is left away, nothing else."""
    sections = file.sections if file.is_own else {}
    if overrides.get("search", {}).get("steps") == 0:
        sections = {name: fields for name, fields in sections.items() if name != "search"}
    return merged(sections, overrides)


def _check_used(overrides: Sections, recipe: Recipe) -> None:
    """Raises UsageError for what was set on top of a recipe that does not use it, and would see pictures otherwise."""
    resize, fields = recipe.preprocess.resize, overrides.get("preprocess", {})
    if resize is Resize.WHOLE and "size" in fields:
        raise UsageError(
            "preprocess.size (--size) is the side of a square, and with preprocess.resize=whole pictures keep their "
            "shapes; leave it away, shrink them by preprocess.scale, or choose another recipe, such as parts"
        )
    if resize is not Resize.WHOLE and fields.get("scale", "auto") != "auto":
        raise UsageError(
            f"preprocess.scale is for pictures that keep their shapes, and preprocess.resize={resize} makes squares of "
            "them; leave it away, give preprocess.size (--size), or choose the recipe large-parts"
        )


def _choose(found: Survey, *, has_size: bool) -> tuple[str, str]:
    """The name of a recipe, and the reason; with a size pictures become squares, whatever their shape."""
    if found.long_side > SMALL_SIDE:
        larger = f"{found}: more than {SMALL_SIDE} pixels a side"
        if not is_installed(PACKAGE):
            return "surfaces", f"{larger}, and the extra `pretrained` is not installed"
        if found.long_side > MODERATE_SIDE and not has_size:
            return "large-parts", f"{found}: more than {MODERATE_SIDE} pixels a side"
        return "parts", larger
    if found.num_images < FEW_IMAGES:
        return "few-images", f"{found}: at most {SMALL_SIDE} pixels a side, and fewer than {FEW_IMAGES:,} images"
    return "digits", f"{found}: at most {SMALL_SIDE} pixels a side"


def _side_for(found: Survey, at_most: int) -> int:
    """The power of two that holds the long side."""
    return min(max(1 << (found.long_side - 1).bit_length(), _MIN_SIDE), at_most)


BY_IMAGES: Mapping[str, Mapping[str, Callable[[Survey], Any]]] = {
    "preprocess": {
        "size": lambda found: _side_for(found, SMALL_SIDE),
        "channels": lambda found: 3 if found.has_colour else 1,
        "range": lambda found: found.value_range,
    }
}
"""What the images decide where no recipe does, by section and field."""


def _scale_for(found: Survey) -> float:
    """The whole resolution, or as much of it as fits the time of a training."""
    pixels = found.num_images * found.height * found.width
    return min(1.0, round(math.sqrt(MAX_PIXELS_LEARNT / pixels), 3))
