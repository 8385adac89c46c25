"""Pictures of other sizes or shapes than those that a model is for: how many, and the first."""

from dataclasses import dataclass

from anomaly.counted import counted
from anomaly.inference import Detector


@dataclass
class OtherSizes:
    """How many pictures have a `Detector.size_warning`; `first` is the first one's path and warning."""

    detector: Detector
    num: int = 0
    first: str = ""

    def add(self, path: str, height: int, width: int) -> str | None:
        """The warning of a picture that was read, with its size in pixels, as it is on disk; None without one."""
        warning = self.detector.size_warning(height, width)
        if warning is not None:
            self.num += 1
            self.first = self.first or f"{path}: {warning}"
        return warning

    def remarks(self) -> list[str]:
        """One sentence, or none."""
        if not self.num:
            return []
        return [
            f"{counted(self.num, 'image')} of another size or shape than those that the model is for; the first, "
            f"{self.first}"
        ]
