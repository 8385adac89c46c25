"""What is said of a picture whose size is far from those that calibrated a model which keeps their shapes.

The score is that of the strongest place. Among normal pictures it is higher by chance where there are more places: the
share of them above the threshold grows about as the number of their pixels does. `anomaly export` copies this file.
"""

from collections.abc import Sequence
from math import prod

from anomaly.counted import size_text

MOST_TIMES = 2.0
"""So many times fewer or more pixels than those that calibrated have change this share by about as much."""


def size_warning(size: Sequence[int], smallest: Sequence[int], largest: Sequence[int]) -> str | None:
    """Why the p-value of a picture of this size does not hold; None where it does.

    Sizes are height and width in pixels, as pictures are on disk. Those that calibrated were the `smallest` to the
    `largest`.
    """
    if prod(size) * MOST_TIMES < prod(smallest):
        effect = "so few places score lower by chance, and a defect may pass"
    elif prod(size) > MOST_TIMES * prod(largest):
        effect = "so many places score higher by chance, and a normal picture may be called anomalous"
    else:
        return None
    sizes = " to ".join(dict.fromkeys(size_text(*each) for each in (smallest, largest)))
    return (
        f"the picture is {size_text(*size)} pixels, and this model was calibrated on {sizes}: {effect}; "
        "run `anomaly calibrate` with normal pictures of this size, or give pictures of a size that calibrated"
    )
