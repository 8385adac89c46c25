"""Whether a data set has enough normal images to train and to decide by, as far as counting them tells."""

from anomaly.calibration import num_needed
from anomaly.counted import counted
from anomaly.data import Dataset, num_normals_for, num_to_calibrate
from anomaly.data.splits import MIN_NORMALS
from anomaly.defaults import ALPHA
from anomaly.errors import DataError


def shortage_of_normals(dataset: Dataset) -> str | None:
    """What too few normal images, or parts, prevent, and how many are enough; None where there are enough, or none.

    No image is decoded. Those that cannot be read, and exact copies, are counted here and do not count later.
    """
    normals = dataset.known_normals()
    num = len({dataset.parts[sample.path] for sample in normals}) if dataset.parts else len(normals)
    num_calibration = num_needed(ALPHA)
    wanted = num_normals_for(num_calibration)
    if not num or num >= wanted:
        return None
    what = ("part", "parts") if dataset.parts else ("normal image", "normal images")
    there = f"there {'is' if num == 1 else 'are'} {counted(num, *what)} to train on"
    rate = f"at the default false-alarm rate of {ALPHA:.0%}"
    if len(normals) < MIN_NORMALS:
        return (
            f"{there}; expected at least {MIN_NORMALS}, because some are held out to select and to calibrate; with "
            f"{wanted} {what[1]} or more, images can be called anomalous {rate}: add normal images"
        )
    return (
        f"{there}, of which {num_to_calibrate(num)} calibrate; no image can be called anomalous {rate} by fewer than "
        f"{num_calibration}: {wanted} {what[1]} are enough. Add normal images, or give others to `anomaly calibrate` "
        "later"
    )


def check_enough(dataset: Dataset) -> str | None:
    """The same, as a warning.

    Raises:
        DataError: with so few there can be no training.
    """
    shortage = shortage_of_normals(dataset)
    if shortage and len(dataset.known_normals()) < MIN_NORMALS:
        raise DataError(shortage)
    return shortage
