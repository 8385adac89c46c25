"""How many large things are in memory at once."""

import weakref
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Alive:
    """Counts those of its things that are still in memory, and the most that ever were when one was added."""

    def __init__(self) -> None:
        self._things: list[weakref.ref[Any]] = []
        self.most = 0

    def add(self, thing: T) -> T:
        self._things.append(weakref.ref(thing))
        self.most = max(self.most, self.num)
        return thing

    def all_of(self, make: Callable[..., T]) -> Callable[..., T]:
        """The same function, whose results are added."""
        return lambda *args, **kwargs: self.add(make(*args, **kwargs))

    @property
    def num_added(self) -> int:
        return len(self._things)

    @property
    def num(self) -> int:
        return sum(thing() is not None for thing in self._things)
