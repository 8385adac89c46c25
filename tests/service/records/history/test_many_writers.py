"""Several servers write one history: ids ascend as rows become visible, and drift is that of one server."""

import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from anomaly.calibration import Drift, generator_of
from anomaly.errors import UsageError
from service.records.history import DriftStreams, restart_drift, sqlite, store_of, writer
from service.records.history.rows import delete_oldest
from service.records.history.tables import drift, images
from tests.service.records.history.entries import CALIBRATION, Place, found, page, reading, writing

SCORES = np.random.default_rng(7).normal(50, 30, 400).tolist()


def alone(scores: list[float], digest: str = "d") -> Drift:
    """The drift of a server that is fed these, and keeps nothing."""
    made = Drift(CALIBRATION, rate=0.01, rng=generator_of(digest))
    for score in scores:
        made.add(score, 0.5)
    return made


def stored(place: Place, digest: str = "d") -> Drift:
    with reading(place) as connection:
        return DriftStreams(0.01).read(digest, CALIBRATION, connection).drift


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's lock is waited for as long as it takes here."""
    monkeypatch.setattr(sqlite, "BUSY_S", 20.0)
    monkeypatch.setattr(writer, "ACKNOWLEDGE_S", 30.0)


@pytest.mark.parametrize("sizes", [[1], [7, 1, 30]])
def test_drift_does_not_depend_on_which_server_inserts_nor_on_groups_nor_on_restarts(
    place: Place, sizes: list[int]
) -> None:
    scores = SCORES[: 60 * len(sizes)]
    left, turn = list(scores), 0
    while left:
        with writing(place) as one, writing(place) as other:
            for _ in range(6):
                size = sizes[turn % len(sizes)]
                rows = [found(score=score) for score in left[:size]]
                left, turn = left[size:], turn + 1
                if rows:
                    (one, other)[turn % 2](lambda history, rows=rows: history.add(rows))  # type: ignore[misc]
    assert [row.score for row in page(place)[0]][::-1] == scores
    assert stored(place).to_bytes() == alone(scores).to_bytes()


def test_streams_are_apart_and_a_row_that_is_not_kept_is_in_none(place: Place) -> None:
    with writing(place) as do:
        do(lambda history: history.add([found(score=score, digest="de"[i % 2]) for i, score in enumerate(SCORES[:50])]))
        assert do(lambda history: history.add([found(score=1.0, model=None)])) == [None]
        do(lambda history: history.add([found(score=2.0)]))
    assert stored(place, "d").to_bytes() == alone([*SCORES[:50:2], 2.0]).to_bytes()
    assert stored(place, "e").to_bytes() == alone(SCORES[1:50:2], "e").to_bytes()


def test_an_alarm_is_told_once_by_the_server_whose_row_it_was_and_is_on_at_all(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    is_on: list[bool] = []
    for _ in range(2):
        streams = DriftStreams(0.01)
        with closing(store_of(place)) as store:
            store.open()
            for i in range(20):
                rows = [found(i, score=1000.0)]
                with store.writing() as connection:
                    moved = streams.advance(rows, connection)
                streams.tell(moved)
                with store.reading() as connection:
                    is_on.append(streams.read("d", CALIBRATION, connection).alarm_time is not None)
            store.drop()
    assert sum("drift: the scores of m version 1" in record.getMessage() for record in caplog.records) == 1
    first = is_on.index(True)
    assert 0 < first < 20
    assert all(is_on[first:])
    with reading(place) as connection:
        watched = streams.read("d", CALIBRATION, connection)
    assert (watched.drift.alarm_at, watched.alarm_time is None) == (first + 1, False)


def test_a_state_that_cannot_be_read_costs_no_row(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    with writing(place) as do:
        do(lambda history: history.add([found(1)]))
    with closing(store_of(place)) as store:
        store.open()
        with store.writing() as connection:
            connection.execute(update(drift).values(state=b"torn"))
        store.drop()
    with writing(place) as do:
        assert None not in do(lambda history: history.add([found(2), found(3)]))
    assert "begins anew" in caplog.text
    assert stored(place).to_bytes() == alone([2.0, 3.0]).to_bytes()


def test_who_has_seen_a_row_has_seen_all_before_it(place: Place) -> None:
    """A reader that goes on from the last id that it saw, while others insert, misses none."""
    seen: list[int] = []
    done = threading.Event()

    def follow() -> None:
        with closing(store_of(place)) as store:
            while True:
                is_last = done.is_set()
                with store.reading() as connection:
                    query = select(images.c.id).where(images.c.id > (seen[-1] if seen else 0)).order_by(images.c.id)
                    seen.extend(connection.execute(query).scalars())
                if is_last:
                    return

    def insert(do: Any, first: int) -> None:
        for i in range(40):
            do(lambda history, i=i: history.add([found(first + i), found(first + i)]))

    with ExitStack() as stack:
        servers = [stack.enter_context(writing(place)) for _ in range(3)]
        reader = threading.Thread(target=follow)
        writers = [threading.Thread(target=insert, args=(do, 1000 * i)) for i, do in enumerate(servers)]
        for thread in (reader, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        reader.join()
    rows = [row.id for row in page(place)[0]][::-1]
    assert seen == rows
    assert len(rows) == 3 * 40 * 2


def test_drift_begins_anew_when_a_person_says_so_while_servers_run(place: Place) -> None:
    with writing(place) as one, writing(place) as other:
        one(lambda history: history.add([found(score=1000.0), found(score=3.0, model="n", digest="e")]))
        other(lambda history: history.add([found(score=1000.0)]))
        assert restart_drift(place, "m") == 1
        one(lambda history: history.add([found(score=1.0)]))
        other(lambda history: history.add([found(score=2.0)]))
    assert stored(place).to_bytes() == alone([1.0, 2.0]).to_bytes()
    assert stored(place, "e").to_bytes() == alone([3.0], "e").to_bytes()
    with pytest.raises(UsageError, match=r"has no rows of the model 'nothing'; there are those of m, n\. If they were"):
        restart_drift(place, "nothing")


def test_drift_begins_anew_by_the_digest_when_no_row_of_the_model_is_left(place: Place) -> None:
    """Rows go by age and size, and an alarm stays."""
    with writing(place) as do:
        do(lambda history: history.add([found(score=1000.0), found(digest="e"), found(model="n", digest="f")]))
    with closing(store_of(place)) as store:
        with store.writing() as connection:
            assert delete_oldest(connection, limit=2) == 2
        store.drop()
    with pytest.raises(UsageError, match=r"'m'; there are those of n\. .* give the digest of its bundle"):
        restart_drift(place, "m")
    assert stored(place).num_scores == 1
    assert restart_drift(place, "d") == 1
    assert [stored(place, digest).num_scores for digest in "def"] == [0, 1, 1]
    with pytest.raises(UsageError, match=r"no rows of the model 'd'; .* also said of a digest without rows whose"):
        restart_drift(place, "d")


def test_drift_begins_anew_by_the_digest_of_rows_that_are_there_and_twice_is_no_mistake(place: Place) -> None:
    with writing(place) as do:
        do(lambda history: history.add([found(score=1.0), found(digest="e")]))
    assert [restart_drift(place, which) for which in ("e", "e", "m", "m", "d")] == [1, 0, 1, 0, 0]


def test_the_drift_of_a_history_without_rows_is_not_begun_anew(place: Place) -> None:
    with (
        writing(place),
        pytest.raises(UsageError, match=r"no rows of the model 'm'; it has none at all\. If they were"),
    ):
        restart_drift(place, "m")


def test_what_is_no_history_is_not_made_one(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", SecretStr("postgresql://me:secret@127.0.0.1:1/x")):
        with pytest.raises(UsageError, match="cannot be used") as caught:
            restart_drift(path, "m")
        assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
