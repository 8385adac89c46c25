"""Every error a user can cause, in one tree.

    AnomalyError
    ├── UsageError              options that do not fit together, or a value out of range
    │   └── InputError          what the scikit-learn estimator is given; a ValueError too
    ├── DeviceError             the requested device is not available
    ├── DataError               a data set that cannot be understood or used
    │   └── ImageError          one image that cannot be used; names it
    │       ├── ImageTooLargeError      more bytes or pixels than the limits allow
    │       ├── UnsupportedFormatError  not one of the accepted formats, or pixels without a fixed range
    │       ├── UndecodableImageError   an accepted format, but broken
    │       └── ValueRangeError         16-bit values beyond those that the model was trained on
    ├── BundleError             a bundle that cannot be read
    │   ├── BundleNotFoundError
    │   └── CorruptBundleError  files differ from what was written
    ├── StorageError            a file that cannot be written: no space, no permission, no locks
    ├── InUseError              another process is writing there; names it
    ├── ClusterError            worker processes, or a cluster's, that cannot be started or reached
    ├── ExportError             an exported model that does not score as its bundle
    └── TrainingError
        ├── DivergedError       losses or weights are no longer finite
        ├── CheckpointError     nothing to resume from, or it belongs to another run
        └── LostRankError       a process of a training on several has ended

A message says what is wrong, what was found, what was expected, and what to do about it.
"""


class AnomalyError(Exception):
    """Base of every error that a user can correct; its text is meant to be shown as it is."""


class UsageError(AnomalyError):
    """Options that do not fit together, or a value out of range."""


class InputError(UsageError, ValueError):
    """What the scikit-learn estimator is given and cannot use; a ValueError, as callers of scikit-learn expect it."""


class DeviceError(AnomalyError):
    """The requested device is not available."""


class DataError(AnomalyError):
    """A data set that cannot be understood or used."""


class ImageError(DataError):
    """One image that cannot be used. The message names the image."""


class ImageTooLargeError(ImageError):
    """More bytes or pixels than the limits allow; found before decoding."""


class UnsupportedFormatError(ImageError):
    """Not one of the accepted image formats."""


class UndecodableImageError(ImageError):
    """An accepted format by its first bytes, but it cannot be decoded."""


class ValueRangeError(ImageError):
    """A picture of 16 bits has values beyond the range of those that the model was trained on."""


class BundleError(AnomalyError):
    """A bundle that cannot be read."""


class BundleNotFoundError(BundleError):
    """There is no bundle at that place."""


class CorruptBundleError(BundleError):
    """The files of a bundle are not those that were written."""


class StorageError(AnomalyError):
    """A file that cannot be written: no space, no permission, no locks. The message names the folder."""


class InUseError(AnomalyError):
    """Another process is writing there. The message says which, and since when."""


class ClusterError(AnomalyError):
    """Worker processes, on this machine or on a cluster, that cannot be started or reached."""


class ExportError(AnomalyError):
    """An exported model that does not score as its bundle. Nothing was written."""


class TrainingError(AnomalyError):
    """Training cannot start or continue."""


class DivergedError(TrainingError):
    """A loss or a weight is no longer finite."""


class CheckpointError(TrainingError):
    """There is nothing to resume from, or it belongs to another run."""


class LostRankError(TrainingError):
    """A process of a training on several has ended before its time. The message says which, where that is known."""


def reason_of(error: Exception) -> str:
    """What the system says of an error, without its number and its path; of other errors their text."""
    if isinstance(error, UnicodeDecodeError):
        return f"it is no text in {error.encoding.upper()}"
    return getattr(error, "strerror", None) or str(error)


def first_line(error: BaseException) -> str:
    """An error's text without what libraries write below its first line, such as a trace or a statement."""
    return str(error).strip().partition("\n")[0]
