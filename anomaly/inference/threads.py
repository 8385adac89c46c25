"""The threads of an engine, also in a process that was forked from one that had some."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")


class EngineThreads:
    """So many threads, made when they are first needed."""

    def __init__(self, num: int, name: str) -> None:
        """`name` is what tools that list threads show."""
        self.num, self._name = num, name
        self._pool: tuple[int, ThreadPoolExecutor] | None = None  # with the process that it is of

    def __reduce__(self) -> tuple[type["EngineThreads"], tuple[int, str]]:
        """In a copy, or in another process, they are made anew."""
        return EngineThreads, (self.num, self._name)

    def map(self, function: Callable[[Given], Result], items: Iterable[Given]) -> Iterator[Result]:
        """The results in order. A fork has none of the threads that were there, and would wait for them for ever."""
        process, pool = os.getpid(), self._pool
        if pool is None or pool[0] != process:
            self._pool = pool = process, ThreadPoolExecutor(self.num, thread_name_prefix=self._name)
        return pool[1].map(function, items)
