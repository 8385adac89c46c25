"""One function over many items, in worker processes: on this machine, or on a Ray cluster.

Each worker has one item at a time, and the items are taken from an iterator only when a worker is free. So the memory
of the caller does not depend on how many there are. A worker is initialised once, before its first item.

An item that fails does not stop the others. A worker that dies is replaced, and its item is tried again, up to ATTEMPTS
times in all; then the item has failed, and the others go on.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic, Protocol, TypeVar

from anomaly.errors import AnomalyError, UsageError

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


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Result]):
    """An item that has ended; see `Answer`."""

    item: Item
    result: Result | None
    error: str | None


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
            return Answer(error=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")


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


def run_tasks(
    function: Callable[[State, Item], Result],
    items: Iterable[Item],
    *,
    initialise: Callable[[], State],
    workers: Workers,
) -> Iterator[Outcome[Item, Result]]:
    """`function(initialise(), item)` of each item, in the order in which they end.

    Both functions, the items and the results travel between processes: functions of modules, or `functools.partial` of
    them. AnomalyError and OSError of the function are sentences for a user; so is what else it may raise. Closing the
    iterator, or Ctrl-C, kills the workers.

    Raises:
        AnomalyError: what `initialise` raises.
        ClusterError: the cluster cannot be reached, or workers cannot be started.
        UsageError: the extra `ray` is missing.
    """
    worker = Worker(initialise, function)
    with _pool(worker, workers) as pool:
        yield from drive(pool, items)


def drive(pool: WorkerPool[Item, Result], items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
    """Keep the workers of a pool busy until there are no items left."""
    remaining = iter(items)
    first = list(islice(remaining, pool.num))  # no more workers than items
    remaining = chain(first, remaining)
    busy: dict[int, Item] = {}
    is_over = not first
    for place in range(len(first)):
        pool.prepare(place)
    while busy or not is_over:
        for place, answer in pool.wait():
            if place in busy:
                yield Outcome(busy.pop(place), answer.result, answer.error)
            for item in islice(remaining, 1):
                busy[place] = item
                pool.submit(place, item)
            if place not in busy:
                is_over = True
                pool.release(place)  # makes room for a worker that a cluster has to start again elsewhere


def _pool(worker: Worker[State, Item, Result], workers: Workers) -> "AbstractContextManager[WorkerPool[Item, Result]]":
    if workers.ray is not None:
        from anomaly.distributed.cluster import Cluster  # here: Ray may not be installed

        return Cluster.connected(worker, workers)
    from anomaly.distributed.processes import Processes

    return Processes(worker, workers)
