"""What is said of the files of many images: of how many each remark is true, and which one it was true of first."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from anomaly.data.decoding.appearance import Remark


@dataclass
class Remarks:
    """Remark → how many images it is true of, and the first one's name, where it has one."""

    found: dict[Remark, tuple[int, str | None]] = field(default_factory=dict)

    def add(self, name: str | None, remarks: Iterable[Remark]) -> None:
        """One more image, by its name, and what is to be said of it."""
        for remark in sorted(remarks):  # a set has them in any order, and who goes through `found` says them
            self._count(remark, 1, name)

    def update(self, later: "Remarks") -> None:
        """Count what was found of later images, too."""
        for remark, (num, name) in later.found.items():
            self._count(remark, num, name)

    def sentences(self) -> list[str]:
        """A sentence for each remark."""
        return [_sentence(remark, *self.found[remark]) for remark in Remark if remark in self.found]

    def _count(self, remark: Remark, num: int, name: str | None) -> None:
        before, first = self.found.get(remark, (0, None))
        self.found[remark] = before + num, first or name


def _sentence(remark: Remark, num: int, name: str | None) -> str:
    named = "" if name is None else f", {'such as ' if num > 1 else ''}{name}"
    return f"{num:,} of the images{named}: {remark}"
