"""Which bundles are served: every version found under the models folder when the server starts.

They are loaded in the background, current versions first; the server is ready once each current version is loaded or
known to be broken, and at least one is loaded. A broken bundle is reported and harms no other. Requests name bundles
of this pool only: no file is ever opened because of what a request says.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anomaly.bundle import BundleRef
from anomaly.errors import AnomalyError, BundleNotFoundError, UsageError
from anomaly.inference import Detector
from service.errors import MalformedRequestError, ModelNotFoundError, ModelUnavailableError, NotReadyError

logger = logging.getLogger(__name__)

Loader = Callable[[Path], Detector]


@dataclass
class Slot:
    """One version of one bundle: loading, until either `detector` or `failure` is set."""

    name: str
    version: int
    path: Path
    detector: Detector | None = None
    failure: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it is known if this bundle can be used."""
        return self.detector is not None or self.failure is not None


class Pool:
    """The bundles of a server. `load` runs in one thread; everything else only reads what it has set."""

    def __init__(self, refs: Sequence[BundleRef], load: Loader, *, default_model: str | None = None) -> None:
        """Raises BundleNotFoundError if there is nothing to serve, UsageError if the default is not among it."""
        if not refs:
            raise BundleNotFoundError("There is no bundle to serve; make one: anomaly train DATA --out models/NAME")
        self._slots: dict[str, dict[int, Slot]] = {}
        for ref in sorted(refs, key=lambda ref: (ref.name, ref.version)):
            self._slots.setdefault(ref.name, {})[ref.version] = Slot(ref.name, ref.version, ref.path)
        if default_model is not None and default_model not in self._slots:
            raise UsageError(f"The default model {default_model!r} is not among the bundles: {', '.join(self._slots)}.")
        self.default_model = default_model if default_model or len(self._slots) > 1 else next(iter(self._slots))
        self._load = load
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[Slot]:
        return (slot for versions in self._slots.values() for slot in versions.values())

    @property
    def current(self) -> list[Slot]:
        """The highest version of each name."""
        return [versions[max(versions)] for versions in self._slots.values()]

    @property
    def is_settled(self) -> bool:
        """Whether every current version is loaded or known to be broken."""
        return all(slot.is_settled for slot in self.current)

    @property
    def is_ready(self) -> bool:
        """Whether the server can score: settled, and at least one current version is loaded."""
        return self.is_settled and any(slot.detector for slot in self.current)

    def load(self, on_settled: Callable[[], object] | None = None) -> None:
        """Load and warm every bundle, current versions first; call `on_settled` when these are done. Blocking."""
        current = self.current
        for slot in current:
            self._fill(slot)
        if on_settled is not None and not self._stopped.is_set():
            on_settled()
        for slot in self:
            if slot not in current:
                self._fill(slot)

    def stop(self) -> None:
        """Let `load` end after the bundle that it is loading."""
        self._stopped.set()

    def versions(self, name: str) -> list[Slot]:
        """All versions of a bundle, oldest first; ModelNotFoundError if there is none of that name."""
        if name not in self._slots:
            raise ModelNotFoundError(f"There is no model {name[:80]!r} here; there are: {', '.join(self._slots)}.")
        return list(self._slots[name].values())

    def get(self, name: str | None, version: int | None) -> Detector:
        """The detector to score with; without a name the default's, without a version the current one.

        Raises MalformedRequestError, ModelNotFoundError, ModelUnavailableError or NotReadyError.
        """
        name = name or self.default_model
        if name is None:
            raise MalformedRequestError(f"Say which model to use, as ?model=NAME; there are: {', '.join(self._slots)}.")
        slots = {slot.version: slot for slot in self.versions(name)}
        slot = slots.get(max(slots) if version is None else version)
        if slot is None:
            raise ModelNotFoundError(f"The model {name!r} has no version {version}, but {', '.join(map(str, slots))}.")
        if slot.failure:
            raise ModelUnavailableError(f"The model {name!r}, version {slot.version}, cannot be used: {slot.failure}")
        if slot.detector is None:
            raise NotReadyError(f"The model {name!r}, version {slot.version}, is still being loaded; try again soon.")
        return slot.detector

    def _fill(self, slot: Slot) -> None:
        if self._stopped.is_set():
            return
        try:
            detector = self._load(slot.path)
            _warm(detector)
        except AnomalyError as error:
            slot.failure = str(error)
            logger.error("bundle %s version %d is not served: %s", slot.name, slot.version, error)
        except Exception:
            slot.failure = "It could not be loaded for a reason that was not foreseen; the server's log has it."
            logger.exception("bundle %s version %d is not served", slot.name, slot.version)
        else:
            slot.detector = detector
            logger.info("bundle %s version %d is loaded", slot.name, slot.version)


def _warm(detector: Detector) -> None:
    """Let the first request not pay for the device's first call."""
    size, channels = detector.preprocess.size, detector.preprocess.channels
    detector.evidence(np.zeros((1, channels, size, size), np.uint8))
