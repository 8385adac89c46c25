"""Whether a data set has enough normal images to train and to decide by, as far as counting them tells."""

from anomaly.calibration import Calibration, num_needed
from anomaly.counted import counted
from anomaly.data import Dataset, num_normals_for, num_to_calibrate
from anomaly.data.splits import MIN_NORMALS, MIN_PARTS
from anomaly.defaults import ALPHA
from anomaly.errors import DataError

_AT_ALPHA = f"at the default false-alarm rate of {ALPHA:.0%}"
NO_VERDICTS = "no image can be called anomalous at the default false-alarm rate"
"""How `no_verdicts` begins."""


def shortage_of_normals(dataset: Dataset) -> str | None:
    """What too few normal images, or parts, prevent, and how many are enough; None where there are enough, or none.

    No image is decoded. Those that cannot be read, and exact copies, are counted here and do not count later.
    """
    if not dataset.known_normals():
        return None
    if too_few := _too_few_to_train(dataset):
        return too_few
    num, noun = _units(dataset)
    needed = num_needed(ALPHA)
    wanted = num_normals_for(needed)
    if num >= wanted:
        return None
    return (
        f"{_there(num, noun)}, and {num_to_calibrate(num)} of them will calibrate; no image can be called anomalous "
        f"{_AT_ALPHA} by fewer than {needed}: {wanted} {noun}s are enough. Add normal images, or give others to "
        "`anomaly calibrate` later"
    )


def check_enough(dataset: Dataset) -> str | None:
    """The warning of `shortage_of_normals`.

    Raises:
        DataError: with so few there can be no training.
    """
    if too_few := _too_few_to_train(dataset):
        raise DataError(too_few)
    return shortage_of_normals(dataset)


def no_verdicts(calibration: Calibration) -> str | None:
    """The warning of a model whose calibration images are too few for the default false-alarm rate; None of another."""
    shortage = calibration.shortage(ALPHA)
    return f"{NO_VERDICTS}: {shortage}" if shortage else None


def _too_few_to_train(dataset: Dataset) -> str | None:
    num_images = len(dataset.known_normals())
    if num_images < MIN_NORMALS:
        wanted = num_normals_for(num_needed(ALPHA))
        return (
            f"{_there(num_images, 'normal image')}; expected at least {MIN_NORMALS}, because some are held out to "
            f"select and to calibrate; with {wanted} normal images or more, images can be called anomalous "
            f"{_AT_ALPHA}: add normal images"
        )
    num, noun = _units(dataset)
    if num < MIN_PARTS:
        return (
            f"{_there(num, noun)}; expected at least {MIN_PARTS}, because whole parts are held out to select and to "
            "calibrate: add pictures of other parts, or check --groups"
        )
    return None


def _units(dataset: Dataset) -> tuple[int, str]:
    """How many there are of what is drawn into the sets."""
    normals = dataset.known_normals()
    if dataset.parts:
        return len({dataset.parts[sample.path] for sample in normals}), "part"
    return len(normals), "normal image"


def _there(num: int, noun: str) -> str:
    return f"there {'is' if num == 1 else 'are'} {counted(num, noun)} to train on"
