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
from typing import Generic

from anomaly.distributed.processes import Processes
from anomaly.distributed.workers import Item, Result, State, Worker, WorkerPool, Workers


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Result]):
    """An item that has ended; see `Answer`."""

    item: Item
    result: Result | None
    error: str | None


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
    return Processes(worker, workers)
