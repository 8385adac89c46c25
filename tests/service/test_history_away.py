"""A server whose database is not there scores, says so, and tells nobody the password."""

import io
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.postgres import PostgresServer
from service.edge.request_log import logging_to
from service.settings import Settings
from tests.service.fakes import open_instance, png
from tests.service.records.test_telemetry import value
from tests.service.routes.test_score import code

AWAY = SecretStr("postgresql://line:s3cret@127.0.0.1:1/history")


def test_a_server_starts_without_its_database_scores_and_is_ready(tmp_path: Path) -> None:
    log = io.StringIO()
    with logging_to(log, Settings()), open_instance(tmp_path / "models", history=AWAY) as instance:
        answers = [instance.score(png(tag)) for tag in (1, 2)]
        assert [(answer.status_code, answer.json()["history_id"]) for answer in answers] == [(200, None)] * 2
        ready = instance.client.get("/readyz")
        assert (ready.status_code, "Connection refused" in ready.json()["history"]) == (200, True)
        told = [ready.text, instance.client.get("/metrics").text]
        for path in ("/history", "/history.csv", "/history/1/thumbnail", "/models/m/drift"):
            refused = instance.client.get(path)
            assert code(refused) == (503, "history_unavailable")
            told.append(refused.text)
        assert value(instance, "anomaly_history_failures_total") == 2
        assert value(instance, "anomaly_history_failing") == 1
    assert "the history is not written, images are scored on" in log.getvalue()
    assert not any("s3cret" in text for text in [log.getvalue(), *told, repr(Settings(history=AWAY))])


def test_two_servers_share_corrections_thumbnails_and_drift(postgres: PostgresServer, tmp_path: Path) -> None:
    url = SecretStr(postgres.new_database())
    chosen: dict[str, Any] = {"history": url, "history_thumbnails": True}
    with open_instance(tmp_path / "a", **chosen) as one, open_instance(tmp_path / "b", **chosen) as other:
        first, second = one.score(png(1)).json()["history_id"], other.score(png(2)).json()["history_id"]
        assert first < second
        corrected = one.client.put(f"/history/{second}/correction", json={"correction": "anomalous"}).json()
        assert other.client.get("/history", params={"correction": "anomalous"}).json()["items"] == [corrected]
        assert other.client.get(f"/history/{first}/thumbnail").status_code == 200
        drifts = [server.client.get("/models/m/drift").json() for server in (one, other)]
        assert drifts[0] == drifts[1]
        assert drifts[0]["num_scores"] == 2
    with open_instance(tmp_path / "c", **chosen) as again:
        assert again.client.get("/models/m/drift").json() == drifts[0]
        for _ in range(30):
            again.score(png(5000))
        alarm = again.client.get("/models/m/drift").json()
        assert (alarm["alarm"], alarm["num_scores"]) == (True, 32)
