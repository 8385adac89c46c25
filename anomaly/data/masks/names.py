"""What a mask's file may be called, by the name of its image.

A mask of the image NAME.jpg is called, in capitals or not, with any suffix of an image:

    NAME   NAME.jpg                                     the image's own name
    NAME_mask   NAME-gt   NAME.label   mask_NAME …      with one of the words of `AFFIXES` behind or before it
    NAME_mask_0   NAME_mask1 …                          several, which are united
    NAME/000   NAME/001 …                               a folder of an image's name: all in it, united
"""

import re

AFFIXES = ("mask", "masks", "gt", "label", "labels", "seg", "segmentation", "annotation", "groundtruth", "ground_truth")
"""Words that make a file's name a mask's, before or behind the image's name, set off by one of _ - . or a space."""

PATTERNS = "NAME, NAME_mask, NAME_gt, NAME_label, NAME-mask, mask_NAME … (any image suffix), or a folder NAME"

_WORDS = "|".join(AFFIXES)
_BEHIND = re.compile(rf"(?P<name>.+)[_\-. ](?P<word>{_WORDS})(?P<number>[_\-. ]?\d+)?", re.IGNORECASE)
_BEFORE = re.compile(rf"(?:{_WORDS})[_\-. ](?P<name>.+)", re.IGNORECASE)


def image_names(stem: str) -> list[str]:
    """What the image may be called whose mask has this stem: first the stem itself."""
    matches = [pattern.fullmatch(stem) for pattern in (_BEHIND, _BEFORE)]
    return [stem, *(match["name"] for match in matches if match)]


def numbered(stem: str) -> str | None:
    """The word by which several masks of one image are called, which a number tells apart; None without a number."""
    match = _BEHIND.fullmatch(stem)
    return match["word"].casefold() if match and match["number"] else None
