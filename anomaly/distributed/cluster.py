"""Workers as actors of a Ray cluster, which starts them, places them, and starts them again elsewhere where one dies.

Actors and not plain tasks, because Ray gives a GPU's process to one task only, and each worker loads its model once.
Ray is told to send nothing: a cluster that is started by `ray start` is told so by RAY_USAGE_STATS_ENABLED=0.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic

from anomaly.counted import counted
from anomaly.distributed.workers import ATTEMPTS, Answer, Item, Result, Worker, Workers
from anomaly.errors import AnomalyError, ClusterError, first_line
from anomaly.extras import require

_DIED = f"the worker died of it {ATTEMPTS} times, or its nodes did; Ray's logs say why"
_REACH_S = 10.0


class Cluster(Generic[Item, Result]):
    """An actor for each place. A place that the cluster has no room for waits, and no item waits with it."""

    def __init__(self, ray: Any, worker: Worker[Any, Item, Result], workers: Workers) -> None:
        self._ray = ray
        self._num = workers.num or _num_places(ray.cluster_resources(), workers)
        self._worker = ray.put(worker)
        self._actors: dict[int, Any] = {}
        self._pending: dict[Any, int] = {}
        self._prepared: set[int] = set()
        self._class = ray.remote(
            num_cpus=workers.cpus,
            num_gpus=workers.gpus,
            max_restarts=-1,
            max_task_retries=ATTEMPTS - 1,
        )(Actor)

    @classmethod
    @contextmanager
    def connected(cls, worker: Worker[Any, Item, Result], workers: Workers) -> "Iterator[Cluster[Item, Result]]":
        """The workers of a cluster, which are killed at the end.

        Raises:
            ClusterError: the cluster cannot be reached.
            UsageError: Ray is not installed.
        """
        require("a Ray cluster", "ray", "ray")
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        assert workers.ray is not None
        _check_reachable(workers.ray)
        try:
            ray.init(address=workers.ray, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, AssertionError) as error:  # a version that differs, …
            raise ClusterError(f"Ray at {workers.ray} cannot be used: {first_line(error)}") from error
        try:
            yield cls(ray, worker, workers)
        finally:
            ray.shutdown()

    @property
    def num(self) -> int:
        """How many places there are."""
        return self._num

    def prepare(self, place: int) -> None:
        """Ask for a worker."""
        self._actors[place] = self._class.remote(self._worker)
        self._pending[self._actors[place].prepare.remote()] = place

    def submit(self, place: int, item: Item) -> None:
        """Begin an item with the worker there."""
        self._pending[self._actors[place].run.remote(item)] = place

    def release(self, place: int) -> None:
        """End the worker there."""
        self._ray.kill(self._actors.pop(place))

    def wait(self) -> list[tuple[int, Answer[Result]]]:
        """Until some have ended what they do. Raises what a worker cannot be prepared for."""
        done, _ = self._ray.wait(list(self._pending), num_returns=1)
        ended: list[tuple[int, Answer[Result]]] = []
        for reference in done:
            place = self._pending.pop(reference)
            try:
                told = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                if place not in self._prepared:
                    raise ClusterError(
                        f"a worker cannot be started on the cluster ({first_line(error)}); each node needs this "
                        "program, in the same version, and room in its memory"
                    ) from error
                told = Answer(error=_DIED)
            if isinstance(told, AnomalyError):
                raise told
            self._prepared.add(place)
            ended.append((place, told or Answer()))
        return ended


class Actor:
    """A worker within Ray, whose processes get their threads and GPUs from it."""

    def __init__(self, worker: Worker[Any, Any, Any]) -> None:
        self._worker = worker

    def prepare(self) -> AnomalyError | None:
        """See `Worker`."""
        return self._worker.prepare()

    def run(self, item: Any) -> Answer[Any]:
        """See `Worker`."""
        return self._worker.run(item)


def _num_places(resources: dict[str, float], workers: Workers) -> int:
    """As many as the cluster has room for now."""
    num = int(resources.get("CPU", 0) / workers.cpus)
    if workers.gpus:
        num = min(num, int(resources.get("GPU", 0) / workers.gpus))
    if not num:
        raise ClusterError(
            f"the cluster has no room for a worker of {counted(workers.cpus, 'core')} and "
            f"{counted(workers.gpus, 'GPU')} now: it has {counted(resources.get('CPU', 0), 'core')} and "
            f"{counted(resources.get('GPU', 0), 'GPU')}; give the number of workers where it grows by itself"
        )
    return num


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes, and end the process. Raises ClusterError."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        if address == "auto":
            return
        raise ClusterError(
            f"the address of a Ray cluster is HOST:PORT, as `ray start` prints it, or auto; got {address}"
        )
    try:
        socket.create_connection((host, int(port)), _REACH_S).close()
    except (OSError, OverflowError, UnicodeError) as error:  # the last for a host such as a..b
        raise ClusterError(
            f"no Ray cluster answers at {address} ({error}); start one (`ray start --head`), or correct the address"
        ) from error
