"""Work done ahead: in order, bounded, and over when nobody takes the results any more."""

import threading
import time
from collections.abc import Iterator

import pytest

from anomaly.data.ahead import map_ahead


def test_results_come_in_order_whatever_finishes_first() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item % 4 == 0 else 0)
        return item * 2

    assert list(map_ahead(slow_first, range(40), workers=4)) == [item * 2 for item in range(40)]


@pytest.mark.parametrize("num_items", [0, 1, 7, 8, 9])
def test_every_item_is_done_once(num_items: int) -> None:
    assert list(map_ahead(str, range(num_items), workers=2)) == [str(item) for item in range(num_items)]


def test_look_ahead_is_bounded() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    results = map_ahead(lambda item: item, items(), workers=2)
    for num_used in range(1, 20):
        next(results)
        assert len(taken) <= num_used + 8
    results.close()  # type: ignore[attr-defined]  # an iterator to its users, a generator in fact


def test_no_thread_is_left_when_the_results_are_no_longer_wanted() -> None:
    results = map_ahead(lambda item: item, range(1000), workers=2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_an_error_reaches_whoever_takes_the_result() -> None:
    results = map_ahead(lambda item: 1 // item, [1, 0], workers=1)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
