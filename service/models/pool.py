"""Which bundles are served: read on the event loop, changed by `loading`.

A change replaces what readers hold and never alters it, so nobody needs a lock. A request takes its detector once and
keeps it, so that score and digest are of the same bundle whatever changes meanwhile. Requests name
bundles of this pool only: no file is ever opened because of what a request says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from anomaly.bundle import BundleRef
from anomaly.errors import BundleNotFoundError, UsageError
from anomaly.inference import Detector
from service.errors import MalformedRequestError, ModelNotFoundError, ModelUnavailableError, NotReadyError


@dataclass(frozen=True)
class Slot:
    """One version of one bundle: loading, until `detector` or `failure` is set.

    With both, the detector serves, and `failure` says why the files that lie there now have been refused.
    """

    name: str
    version: int
    path: Path
    detector: Detector | None = None
    failure: str | None = None

    @property
    def label(self) -> str:
        """NAME/VERSION, as people are told of it."""
        return f"{self.name}/{self.version}"

    @property
    def is_settled(self) -> bool:
        """Whether it is known if this bundle can be used."""
        return self.detector is not None or self.failure is not None


@dataclass(frozen=True)
class Model:
    """A name, its versions, oldest first, and which of them is current."""

    name: str
    slots: dict[int, Slot]
    current: int


class Pool:
    """The bundles of a server, by name and version."""

    def __init__(self, refs: Sequence[BundleRef], *, default_model: str | None = None) -> None:
        """All of `refs` are still to be loaded; the highest version of each name is current, whatever comes of it.

        Raises BundleNotFoundError if there is nothing to serve, UsageError if the default is not among it.
        """
        self._models: dict[str, Model] = {}
        for name in sorted({ref.name for ref in refs}):
            slots = {ref.version: Slot(name, ref.version, ref.path) for ref in sorted(refs) if ref.name == name}
            self._models[name] = Model(name, slots, current=max(slots))
        if not self._models:
            raise BundleNotFoundError("There is no bundle to serve; make one: anomaly train DATA --out models/NAME")
        if default_model is not None and default_model not in self._models:
            raise UsageError(f"The default model {default_model!r} is not among the bundles: {self._names()}.")
        self.default_model = default_model if default_model or len(self._models) > 1 else next(iter(self._models))

    def __iter__(self) -> Iterator[Slot]:
        return (slot for model in self._models.values() for slot in model.slots.values())

    @property
    def models(self) -> list[Model]:
        """All bundles, by name."""
        return list(self._models.values())

    @property
    def current(self) -> list[Slot]:
        """The current version of each name."""
        return [model.slots[model.current] for model in self._models.values()]

    @property
    def detectors(self) -> Iterator[Detector]:
        """The detectors of all versions that are loaded."""
        return (slot.detector for slot in self if slot.detector is not None)

    @property
    def is_settled(self) -> bool:
        """Whether every current version is loaded or known to be broken."""
        return all(slot.is_settled for slot in self.current)

    @property
    def is_ready(self) -> bool:
        """Whether the server can score: settled, and at least one current version is loaded."""
        return self.is_settled and any(slot.detector for slot in self.current)

    def model(self, name: str) -> Model:
        """A name and its versions; ModelNotFoundError if there is none of that name."""
        model = self._models.get(name)
        if model is None:
            raise ModelNotFoundError(f"There is no model {name[:80]!r} here; there are: {self._names()}.")
        return model

    def get(self, name: str | None, version: int | None) -> Detector:
        """The detector to score with; without a name the default's, without a version the current one.

        Raises MalformedRequestError, ModelNotFoundError, ModelUnavailableError or NotReadyError.
        """
        name = name or self.default_model
        if name is None:
            raise MalformedRequestError(
                f"Say which model to use, as ?model=NAME or in a form as -F model=NAME; there are: {self._names()}."
            )
        model = self.model(name)
        slot = model.slots.get(model.current if version is None else version)
        if slot is None:
            versions = ", ".join(map(str, model.slots))
            raise ModelNotFoundError(f"The model {name!r} has no version {version}, but {versions}.")
        if slot.detector is not None:
            return slot.detector
        if slot.failure:
            raise ModelUnavailableError(
                f"The model {name!r}, version {slot.version}, cannot be used: {self.explain(slot)}"
            )
        raise NotReadyError(f"The model {name!r}, version {slot.version}, is still being loaded; try again soon.")

    def slot(self, ref: BundleRef) -> Slot:
        """What is known of a bundle; an empty slot if nothing is."""
        model = self._models.get(ref.name)
        return (model and model.slots.get(ref.version)) or Slot(ref.name, ref.version, ref.path)

    def stand_in(self, slot: Slot) -> int | None:
        """Which version answers for its name once a current one that failed is gone; None where none does.

        One that is still being loaded counts. None, too, of a version that is not current, or that serves on.
        """
        model = self._models.get(slot.name)
        if model is None or model.current != slot.version or slot.detector or not slot.failure:
            return None
        loaded = [version for version, each in model.slots.items() if each.detector]
        loading = [version for version, each in model.slots.items() if not each.is_settled]
        return max(loaded or loading, default=None)

    def explain(self, slot: Slot) -> str | None:
        """Why a version is refused. If its name has no answer because of it, also how an older one can answer."""
        other = self.stand_in(slot)
        if other is None:
            return slot.failure
        return (
            f"{(slot.failure or '').removesuffix('.')}. Requests that name no version get 503. To have "
            f"version {other} answer, take {slot.path} out of the models folder and send SIGHUP, or call "
            f"POST /admin/unload?model={quote(slot.name, safe='')}&version={slot.version}"
        )

    def put(self, slot: Slot) -> None:
        """Put a slot in the place of what is known of its bundle; a higher version is current once it is loaded."""
        model = self._models.get(slot.name)
        slots = {**(model.slots if model else {}), slot.version: slot}
        if model is None or (slot.detector is not None and slot.version > model.current):
            current = slot.version
        else:
            current = model.current
        self._replace(Model(slot.name, dict(sorted(slots.items())), current))

    def drop(self, name: str, version: int) -> None:
        """Forget a version. If it was current, the highest that is loaded is, or else the highest.

        Raises ModelNotFoundError if it is not known.
        """
        model = self.model(name)
        slots = {v: slot for v, slot in model.slots.items() if v != version}
        if len(slots) == len(model.slots):
            raise ModelNotFoundError(f"The model {name!r} has no version {version}.")
        loaded = [v for v, slot in slots.items() if slot.detector]
        current = model.current if model.current in slots else max(loaded or slots, default=0)
        self._replace(Model(name, slots, current))

    def drop_model(self, name: str) -> None:
        """Forget a name. Raises ModelNotFoundError if it is not known."""
        self._replace(replace(self.model(name), slots={}))

    def _replace(self, model: Model) -> None:
        models = {**self._models, model.name: model}
        self._models = {name: models[name] for name in sorted(models) if models[name].slots}

    def _names(self) -> str:
        return ", ".join(self._models)
