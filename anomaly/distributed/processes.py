"""Workers as processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Generic, Self

from anomaly.counted import counted
from anomaly.distributed.workers import ATTEMPTS, Answer, Item, Result, Worker, Workers
from anomaly.errors import AnomalyError, ClusterError
from anomaly.extras import require
from anomaly.processors import num_processors

_DIED = f"the worker died of it {ATTEMPTS} times, killed by the system (is the memory full?) or by a fault of a library"
_worker: list[Worker[Any, Any, Any]] = []  # that of this process, if it is one


class Processes(Generic[Item, Result]):
    """A process for each place. One that dies is known by its place, which an executor of many would not tell."""

    def __init__(self, worker: Worker[Any, Item, Result], workers: Workers) -> None:
        self._worker = worker
        self._workers = workers
        self._num = _num_places(workers)
        self._executors: dict[int, ProcessPoolExecutor] = {}
        self._pending: dict[Future[Any], int] = {}
        self._items: dict[int, Item] = {}  # a place that has none is being prepared
        self._attempts: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for executor in self._executors.values():
            _kill(executor)

    @property
    def num(self) -> int:
        """How many places there are."""
        return self._num

    def prepare(self, place: int) -> None:
        """Begin to start a worker."""
        self._attempts[place] = 1
        self._begin(place)

    def submit(self, place: int, item: Item) -> None:
        """Begin an item with the worker there."""
        self._items[place] = item
        self._attempts[place] = 1
        self._begin(place)

    def release(self, place: int) -> None:
        """End the worker there, if it has not died."""
        if (executor := self._executors.pop(place, None)) is not None:
            executor.shutdown()

    def wait(self) -> list[tuple[int, Answer[Result]]]:
        """Until some have ended what they do. Raises what a worker cannot be prepared for."""
        ended: list[tuple[int, Answer[Result]]] = []
        while not ended:
            for future in wait(self._pending, return_when=FIRST_COMPLETED).done:
                place = self._pending.pop(future)
                try:
                    told = future.result()
                except BrokenProcessPool as error:
                    _kill(self._executors.pop(place))
                    if self._attempts[place] < ATTEMPTS:
                        self._attempts[place] += 1
                        self._begin(place)
                        continue
                    if place not in self._items:
                        raise ClusterError("the worker processes die while they start; is the memory full?") from error
                    told = Answer(error=_DIED)
                if isinstance(told, AnomalyError):
                    raise told
                self._items.pop(place, None)
                ended.append((place, told or Answer()))
        return ended

    def _begin(self, place: int) -> None:
        with _environment(self._workers, place):  # a process is started where the place has none
            try:
                future = self._send(place)
            except BrokenProcessPool:  # it died while it had nothing to do
                _kill(self._executors.pop(place))
                future = self._send(place)
        self._pending[future] = place

    def _send(self, place: int) -> Future[Any]:
        if place not in self._executors:
            context = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads as they are
            self._executors[place] = ProcessPoolExecutor(1, context, _become, (self._worker,))
        executor = self._executors[place]
        return executor.submit(_run, self._items[place]) if place in self._items else executor.submit(_prepare)


@contextmanager
def _environment(workers: Workers, place: int) -> Iterator[None]:
    """What libraries read when they are loaded: how many threads, and which GPUs."""
    wanted = {"OMP_NUM_THREADS": str(workers.cpus)}
    if workers.gpus:
        sharing, each = _sharing(workers), max(1, int(workers.gpus))
        numbers = range(place // sharing * each, place // sharing * each + each)
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else None
        wanted["CUDA_VISIBLE_DEVICES"] = ",".join(names[n].strip() if names else str(n) for n in numbers)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _num_places(workers: Workers) -> int:
    """As many as are asked for, else as this machine has cores, or GPUs, for.

    Raises:
        ClusterError: it has too few GPUs.
        UsageError: torch, which counts them, is not installed.
    """
    by_cores = max(1, num_processors() // workers.cpus)
    if not workers.gpus:
        return workers.num or by_cores
    require("a worker with a GPU", "torch", "torch")
    import torch  # here: it takes seconds, and what scores on a GPU has it

    num_gpus = torch.cuda.device_count()
    room = num_gpus // max(1, int(workers.gpus)) * _sharing(workers)
    if room < (workers.num or 1):
        raise ClusterError(
            f"{counted(workers.num or 1, 'worker')} of {counted(workers.gpus, 'GPU')} each cannot be had: this machine "
            f"has {counted(num_gpus, 'GPU')}. Ask for fewer workers, or for less of a GPU for each"
        )
    return workers.num or min(by_cores, room)


def _sharing(workers: Workers) -> int:
    """How many workers a GPU is for; more would not fit into its memory."""
    return int(1 / workers.gpus + 1e-6) if workers.gpus < 1 else 1


def _kill(executor: ProcessPoolExecutor) -> None:
    for process in list((executor._processes or {}).values()):  # Python 3.14 has `kill_workers` for this
        process.kill()
    executor.shutdown(cancel_futures=True)


def _become(worker: Worker[Any, Any, Any]) -> None:
    """This process is a worker from now on. Ctrl-C is for its parent, and it does not outlive that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker.append(worker)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _prepare() -> AnomalyError | None:
    return _worker[0].prepare()


def _run(item: Any) -> Answer[Any]:
    return _worker[0].run(item)
