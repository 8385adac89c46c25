"""Files inside DATA or an INPUT that are not used as images: each is kept with the reason, counted and said."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from anomaly.counted import counted


class Why(StrEnum):
    """Why a file is left out; the text follows a number, as in "3 hidden or system files"; `of_one` follows a 1."""

    HIDDEN = "hidden or system files"
    NO_IMAGE = "files that are no images"
    OUTPUT = "pictures that anomaly has drawn"
    MASK = "masks that are not in use"
    ELSEWHERE = "images outside the class folders"
    UNREADABLE = "folders that cannot be read"

    @property
    def of_one(self) -> str:
        """The text behind a 1."""
        return _OF_ONE[self]


_OF_ONE = {
    Why.HIDDEN: "hidden or system file",
    Why.NO_IMAGE: "file that is no image",
    Why.OUTPUT: "picture that anomaly has drawn",
    Why.MASK: "mask that is not in use",
    Why.ELSEWHERE: "image outside the class folders",
    Why.UNREADABLE: "folder that cannot be read",
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One file, or a folder that cannot be read; `reason` is then what the system says."""

    path: str
    why: Why
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.path} ({self.reason})" if self.reason else self.path


def left_out_sentences(left_out: Iterable[LeftOut]) -> list[str]:
    """One for each reason that occurs: the number of files, the reason, and one of the files."""
    files = list(left_out)
    counts = Counter(file.why for file in files)
    return [
        f"left out: {counted(counts[why], why.of_one, why.value)}, such as "
        f"{next(str(file) for file in files if file.why is why)}"
        for why in Why
        if counts[why]
    ]
