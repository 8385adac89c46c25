"""Work done ahead by a pool of threads, its results in order and its memory bounded.

Threads suffice: PIL gives up Python's lock while it decodes.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from anomaly.processors import num_processors

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None = None
) -> Iterator[Result]:
    """`function` of each item, in order. At most four items a worker are begun or wait to be taken.

    `workers` is the number of threads; by default one for each processor that this process may use, up to eight.
    """
    workers = workers or min(8, num_processors())
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) == 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
