"""A row that cannot be kept is lost alone; rows of other requests that are committed with it are kept."""

import asyncio
import time
from typing import Any

import pytest

from service.records.history import History, HistoryEntry
from tests.service.records.history.entries import Place, Unkept, failure, found, kept, writing


@pytest.mark.parametrize("bad", [found(2, filename="\ud800.png"), found(2, model=None), found(2, version=2**70)])
def test_what_is_wrong_with_a_row_costs_that_row_alone(
    place: Place, bad: HistoryEntry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unkept = Unkept()
    take = History._take

    def take_three(self: History, wait_s: float) -> Any:
        while self._jobs.qsize() < 3 and not self._is_closed:
            time.sleep(0.001)
        return take(self, wait_s)

    monkeypatch.setattr(History, "_take", take_three)

    async def add(history: History) -> list[list[int | None]]:
        return list(await asyncio.gather(history.add([found(1)]), history.add([bad]), history.add([found(3)])))

    with writing(place, unkept=unkept) as do:
        first, none, last = [number for (number,) in do(add)]
        assert none is None
        assert do(failure) is None
    assert kept(place) == [last, first]
    assert unkept.num == 1
    (lost,) = [record for record in caplog.records if record.name == "service.records.history.rows"]
    assert lost.exc_info is not None
