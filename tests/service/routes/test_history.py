import csv
import hashlib
import io
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.errors import HistoryUnavailableError
from service.records.history import History, StoredEntry, read_page
from service.routes import history
from tests.service.fakes import NOT_FINITE, Instance, open_instance, picture, png
from tests.service.records.history.entries import Place
from tests.service.records.history.test_readers import Search
from tests.service.records.test_telemetry import value
from tests.service.routes.test_score import code


@pytest.fixture
def keeping(place: Place, tmp_path: Path) -> Iterator[Instance]:
    """A server that keeps a history with thumbnails, in a file or in a database."""
    with open_instance(tmp_path / "models", history=place, history_thumbnails=True) as instance:
        yield instance


def correct(instance: Instance, number: object, correction: object) -> Any:
    return instance.client.put(f"/history/{number}/correction", json={"correction": correction})


def listed(instance: Instance, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = instance.client.get("/history", params=query).json()["items"]
    return items


def test_a_row_is_what_was_answered(keeping: Instance) -> None:
    sent = {"files": {"file": ("seven.png", png(7))}, "headers": {"X-Request-ID": "mine"}}
    answer = keeping.client.post("/score", **sent).json()  # type: ignore[arg-type]
    (row,) = listed(keeping)
    assert abs(datetime.fromisoformat(row.pop("time")).timestamp() - time.time()) < 60
    same = (
        "model", "version", "digest", "filename", "part", "score", "p_value", "threshold", "alpha", "is_anomalous",
        "terms",
    )  # fmt: skip
    assert row == {name: answer[name] for name in same} | {
        "id": answer["history_id"], "request_id": "mine", "image_hash": hashlib.sha256(png(7)).hexdigest(),
        "correction": None, "corrected_by": None, "corrected_at": None, "has_thumbnail": True,
    }  # fmt: skip


def test_a_batch_keeps_those_that_have_a_score(keeping: Instance) -> None:
    results = keeping.batch(png(3), b"text", png(94), png(NOT_FINITE), png(500)).json()["results"]
    assert [result.get("history_id", "failed") for result in results] == [1, "failed", 2, "failed", 3]
    assert [(row["id"], row["score"]) for row in listed(keeping)] == [(3, 500.0), (2, 94.0), (1, 3.0)]
    assert [row["id"] for row in listed(keeping, verdict="anomalous")] == [3]


def test_an_answer_with_pictures_is_kept_too(keeping: Instance) -> None:
    assert keeping.score(png(1), heatmap=True).json()["history_id"] == 1
    assert keeping.score(png(1), alpha=0.001).json()["history_id"] == 2
    assert [row["is_anomalous"] for row in listed(keeping)] == [None, False]


def test_a_failure_keeps_nothing(keeping: Instance) -> None:
    keeping.score(b"text")
    keeping.score(png(NOT_FINITE))
    assert listed(keeping) == []


def test_pages_and_filters(keeping: Instance) -> None:
    keeping.batch(*[png(tag) for tag in range(5)])
    page = keeping.client.get("/history", params={"limit": 2}).json()
    assert [[item["score"] for item in page["items"]], page["next"]] == [[4.0, 3.0], 4]
    page = keeping.client.get("/history", params={"limit": 3, "before": 4}).json()
    assert [[item["score"] for item in page["items"]], page["next"]] == [[2.0, 1.0, 0.0], None]
    assert [row["score"] for row in listed(keeping, min_score=1, max_score=2.5)] == [2.0, 1.0]
    assert listed(keeping, until="2026-01-01T00:00:00Z") == []
    assert len(listed(keeping, since="2026-01-01")) == 5
    assert len(listed(keeping, model="m", correction="none", verdict="normal")) == 5


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 501}, {"before": 0}, {"before": 2**63}, {"verdict": "good"},
     {"since": "yesterday"}, {"since": "2026"}, {"until": "0.5"},
     {"min_score": "nan"}, {"mdoel": "m"}],
)  # fmt: skip
def test_parameters_that_are_refused(keeping: Instance, query: dict[str, Any]) -> None:
    assert code(keeping.client.get("/history", params=query)) == (400, "invalid_parameter")


@pytest.mark.parametrize("path", ["/history", "/history.csv"])
def test_a_zone_whose_plus_became_a_space_is_told_so(tmp_path: Path, path: str) -> None:
    """As `date -Iseconds` writes it: in an address + means a space."""
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as keeping:
        for sent in ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00+0200"):
            refused = keeping.client.get(f"{path}?since={sent}")
            assert code(refused) == (400, "invalid_parameter")
            assert "in an address + is a space: write %2B" in refused.json()["error"]["message"]
        assert keeping.client.get(f"{path}?since=2026-01-01T00:00:00%2B00:00&until=2026-01-01 02:00").status_code == 200


def test_a_correction(keeping: Instance) -> None:
    keeping.batch(png(1), png(2))
    answer = correct(keeping, 2, "anomalous")
    assert answer.status_code == 200
    row = answer.json()
    assert (row["id"], row["correction"], row["corrected_by"]) == (2, "anomalous", "local")
    assert listed(keeping, correction="anomalous") == [row]
    assert correct(keeping, 2, None).json()["correction"] is None
    assert listed(keeping, correction="anomalous") == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"correction": true}', "body.correction true: Input"),
        (b'{"correction": "maybe"}', "body.correction 'maybe': Input"),
        (b"[null]", "body [null]: Input"),
        (b"{", "body: Invalid JSON: "),
    ],
)
def test_what_was_sent_is_told_as_json_has_it(keeping: Instance, content: bytes, said: str) -> None:
    answer = keeping.client.put("/history/1/correction", content=content, headers={"Content-Type": "application/json"})
    assert answer.json()["error"]["message"].startswith(said)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"correction": "maybe"}', b'{"correction": null, "by": "x"}'])
def test_corrections_that_are_refused(keeping: Instance, content: bytes) -> None:
    keeping.score(png(1))
    put, json = "/history/1/correction", {"Content-Type": "application/json"}
    assert code(keeping.client.put(put, content=content, headers=json)) == (400, "invalid_parameter")
    assert code(keeping.client.put(put, content=b"{}")) == (415, "unsupported_content_type")
    assert code(keeping.client.put(put, content=b" " * 2000, headers=json)) == (413, "upload_too_large")
    assert code(correct(keeping, 2, "normal")) == (404, "history_row_not_found")
    assert code(correct(keeping, "x", "normal")) == (400, "invalid_parameter")
    assert code(correct(keeping, 2**63, "normal")) == (400, "invalid_parameter")


def test_thumbnails_are_small_and_show_what_was_scored(keeping: Instance) -> None:
    keeping.score(png(0xFFFF00))
    answer = keeping.client.get("/history/1/thumbnail")
    assert answer.headers["Content-Type"] == "image/webp"
    drawn = Image.open(BytesIO(answer.content)).convert("L")
    assert drawn.size == (8, 8)
    assert np.asarray(drawn)[0, 0] > 150 > 90 > np.asarray(drawn)[7, 7]
    assert code(keeping.client.get("/history/2/thumbnail")) == (404, "history_row_not_found")


def test_csv_has_the_same_rows_and_nothing_that_a_spreadsheet_would_run(keeping: Instance) -> None:
    names = ["=1+1", "@SUM(A1)", "+1", "-1", "\tx", " =1+1", "\u3000@x", 'a,"b"', "straße.png", "a =1", "plain"]
    form = [("files", (name, png(i))) for i, name in enumerate(names)]
    sent = [result["filename"] for result in keeping.client.post("/score/batch", files=form).json()["results"]]
    answer = keeping.client.get("/history.csv", params={"max_score": 10})
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "history.csv" in answer.headers["Content-Disposition"]
    refused = keeping.client.get("/history.csv", params={"limit": 2, "max_score": 7}).json()["error"]["message"]
    assert refused.startswith("query.limit '2': there is no such parameter; there are ")
    assert "max_score" in refused
    refused = keeping.client.get("/history.csv", params={"alpha": 0.05}).json()["error"]["message"]
    assert refused.startswith("query.alpha '0.05': there is no such parameter; there are ")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    inert = [f"'{name}" if name.strip()[0] in "=@+-" or name[0] == "\t" else name for name in sent]
    assert [row["filename"] for row in rows] == inert[::-1]
    assert sum(row["filename"].startswith("'") for row in rows) >= 6
    assert [row["score"] for row in rows] == [str(float(i)) for i in range(len(names))][::-1]
    assert set(rows[0]) == set(listed(keeping)[0])


def test_the_cells_of_csv_are_made_by_the_threads_that_read(keeping: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million rows are 2,000 pieces: while the event loop makes one of them, nobody is answered."""
    monkeypatch.setattr("service.routes.history.CSV_ROWS", 2)
    keeping.batch(*map(png, range(4)))
    makers = list[str]()
    make = history._cells

    def noting(row: StoredEntry) -> list[object]:
        makers.append(threading.current_thread().name)
        return make(row)

    monkeypatch.setattr(history, "_cells", noting)
    assert len(keeping.client.get("/history.csv").text.splitlines()) == 5
    assert [name.startswith("history reader") for name in makers] == [True] * 4


def test_csv_that_cannot_be_read_on_is_cut_off_and_the_log_has_one_line_of_it(
    keeping: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.routes.history.CSV_ROWS", 2)
    keeping.batch(*map(png, range(6)))
    read, calls = History.read, itertools.count()

    async def moved(self: History, work: Callable[..., Any], **limits: float) -> Any:
        if next(calls) == 2:
            raise HistoryUnavailableError("The history cannot be read now: it was renamed.")
        return await read(self, work, **limits)

    with monkeypatch.context() as patch:
        patch.setattr(History, "read", moved)
        with pytest.raises(httpx.RemoteProtocolError):
            keeping.client.get("/history.csv")
    told = [record.getMessage() for record in caplog.records if record.levelname not in ("INFO", "DEBUG")]
    why = "The history cannot be read now: it was renamed."
    assert told == [f"an export of the history was cut off, its client has a part of the rows: {why}"]
    assert "Traceback" not in caplog.text
    assert value(keeping, 'anomaly_requests_total{code="503",route="/history.csv"}') == 1
    assert keeping.client.get("/history.csv").text.count("\r\n") == 7


def test_csv_of_many_rows_is_sent_in_pieces(keeping: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.routes.history.CSV_ROWS", 2)
    keeping.batch(*[png(tag) for tag in range(7)])
    rows = list(csv.DictReader(io.StringIO(keeping.client.get("/history.csv").text)))
    assert [row["id"] for row in rows] == list("7654321")


def test_without_a_history_all_of_it_says_how_to_have_one(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        assert instance.client.get("/models").json()["history"] is False
        assert instance.score(png(1)).json()["history_id"] is None
        answers = [instance.client.get(f"/history{path}") for path in ("", ".csv", "/1/thumbnail")]
        for answer in [*answers, correct(instance, 1, "normal")]:
            assert code(answer) == (404, "history_off")
            assert "--history FILE" in answer.json()["error"]["message"]


def test_that_there_is_a_history_is_told_and_without_thumbnails_there_are_none(tmp_path: Path) -> None:
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as instance:
        assert instance.client.get("/models").json()["history"] is True
        instance.score(png(1))
        assert listed(instance)[0]["has_thumbnail"] is False
        assert code(instance.client.get("/history/1/thumbnail")) == (404, "history_row_not_found")


def test_a_history_that_fails_costs_an_answer_its_number_and_nothing_else(
    keeping: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(History, "_insert", full)
        answer = keeping.score(png(1))
        assert (answer.status_code, answer.json()["score"], answer.json()["history_id"]) == (200, 1.0, None)
        results = keeping.batch(png(2), png(3)).json()["results"]
        assert [(result["score"], result["history_id"]) for result in results] == [(2.0, None), (3.0, None)]
        refused = correct(keeping, 1, "normal")
        assert code(refused) == (503, "history_unavailable")
        assert refused.headers["Retry-After"]
        read = keeping.client.get("/history").json()
        assert (read["items"], "no room" in read["failure"]) == ([], True)  # so that nobody waits for a row
    assert value(keeping, "anomaly_history_failures_total") == 3
    monkeypatch.setattr("service.records.history.writer.time.monotonic", lambda: float("inf"))
    assert keeping.score(png(4)).json()["history_id"] == 1
    assert keeping.client.get("/history").json()["failure"] is None


def test_the_event_loop_does_not_wait_for_the_disk(keeping: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go, has_begun = threading.Event(), threading.Event()
    write = History._write

    def held(self: History, group: Any) -> Any:  # before its transaction, which PostgreSQL would end
        has_begun.set()
        assert may_go.wait(60)
        return write(self, group)

    monkeypatch.setattr(History, "_write", held)
    monkeypatch.setattr("service.records.history.writer.ACKNOWLEDGE_S", 60)
    with ThreadPoolExecutor(1) as others:
        waits = others.submit(keeping.score, png(1))
        assert has_begun.wait(60)
        assert keeping.client.get("/healthz").status_code == 200
        assert keeping.score(picture(8, 8)[:40]).status_code == 422
        assert not waits.done()
        may_go.set()
        assert waits.result().json()["history_id"] == 1


def test_what_was_scored_before_a_stop_is_there_after_it(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / f"models-{number}"
        with open_instance(folder, history=tmp_path / "history.sqlite") as instance:
            assert instance.score(png(number)).json()["history_id"] == number
            correct(instance, number, "normal")
            assert [row["correction"] for row in listed(instance)] == ["normal"] * number


def test_the_head_of_the_csv_file_costs_no_more_than_its_first_rows(
    keeping: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.batch(*map(png, range(60)))
    reads = []

    def counted(*given: Any, **page: Any) -> Any:
        reads.append(page)
        return read_page(*given, **page)

    monkeypatch.setattr(history, "read_page", counted)
    monkeypatch.setattr(history, "CSV_ROWS", 1)
    head = keeping.client.head("/history.csv")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert len(keeping.client.get("/history.csv").text.splitlines()) == 61
    assert 61 <= len(reads) < 70  # a further page may have been begun before the head had been sent


@pytest.mark.parametrize("path", ["/history", "/history.csv"])
def test_a_search_whose_client_has_gone_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    search = Search()
    monkeypatch.setattr(history, "read_page", lambda filters, connection, **page: search(connection))
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as instance:
        with socket.create_connection(("127.0.0.1", instance.client.base_url.port or 0)) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert search.has_begun.wait(10)
        assert search.has_ended.wait(5)  # it would be given up after ten seconds, and go on for minutes
