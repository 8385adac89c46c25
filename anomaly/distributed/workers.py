"""What workers are: how many, where, what lives in each, and a pool of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from anomaly.errors import AnomalyError, UsageError, first_line

State = TypeVar("State")
Item = TypeVar("Item")
Given = TypeVar("Given", contravariant=True)
Result = TypeVar("Result")

ATTEMPTS = 3
"""How often an item is given to a worker that dies of it."""


@dataclass(frozen=True)
class Workers:
    """How many workers there are, where, and what each may use.

    `num`: None is as many as there is room for: on this machine, or on the cluster as it is now. `ray` is the address
    of a Ray cluster, HOST:PORT or "auto"; None is this machine. `cpus` are processor cores, and threads, of each
    worker. `gpus` of each worker: below 1, several share one.
    """

    num: int | None = None
    ray: str | None = None
    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.num is not None and self.num < 1:
            raise UsageError(f"the number of workers is at least 1; got {self.num}")
        if self.cpus < 1:
            raise UsageError(f"a worker needs at least 1 core; got {self.cpus}")
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise UsageError(f"the GPUs of a worker are a whole number, or a share of one below 1; got {self.gpus:g}")


@dataclass(frozen=True, slots=True)
class Answer(Generic[Result]):
    """What became of an item: its result, or one sentence on why it has none."""

    result: Result | None = None
    error: str | None = None


class Worker(Generic[State, Item, Result]):
    """What lives in a worker's process: a function, and the state that it needs, which is made once."""

    def __init__(self, initialise: Callable[[], State], function: Callable[[State, Item], Result]) -> None:
        self._initialise = initialise
        self._function = function
        self._states: list[State] = []

    def prepare(self) -> AnomalyError | None:
        """Make the state where there is none. What keeps it from being made is returned, not raised."""
        try:
            if not self._states:
                self._states.append(self._initialise())
        except AnomalyError as error:
            return error
        return None

    def run(self, item: Item) -> Answer[Result]:
        """The function of the item; also in a worker that took the place of one that died."""
        if (failed := self.prepare()) is not None:
            return Answer(error=str(failed))
        try:
            return Answer(self._function(self._states[0], item))
        except (AnomalyError, OSError) as error:
            return Answer(error=str(error))
        except Exception as error:  # the other items go on
            return Answer(error=f"{type(error).__name__}: {first_line(error)}")


class WorkerPool(Protocol[Given, Result]):
    """Places for workers, counted from 0. Each does one thing at a time."""

    @property
    def num(self) -> int:
        """How many places there are."""

    def prepare(self, place: int) -> None:
        """Begin to start a worker."""

    def submit(self, place: int, item: Given) -> None:
        """Begin an item with the worker there, which has ended what it did before."""

    def release(self, place: int) -> None:
        """End the worker there, which does nothing now: there is nothing more to do for it."""

    def wait(self) -> list[tuple[int, Answer[Result]]]:
        """Until some have ended what they do: being prepared, or an item.

        Raises:
            AnomalyError: a worker cannot be prepared.
        """
