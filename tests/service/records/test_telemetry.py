import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.edge.keys import add_key, remove_key
from service.errors import HistoryUnavailableError
from service.records.history import History, restart_drift
from service.records.telemetry import SECONDS, Telemetry
from service.settings import Settings
from tests.service.edge.test_protocol import connected
from tests.service.fakes import POISON, Instance, add_bundle, open_instance, png
from tests.service.test_load import depth, eventually

VERDICTS = ("normal", "anomalous")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Instance]:
    """A server whose counts nobody else adds to."""
    with open_instance(tmp_path) as opened:
        yield opened


def value(instance: Instance, series: str) -> float:
    lines = instance.client.get("/metrics").text.splitlines()
    return next((float(line.removeprefix(series)) for line in lines if line.startswith(series + " ")), 0.0)


def names(instance: Instance) -> set[str]:
    """Every series that there is, with its labels."""
    lines = instance.client.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


def alarms(instance: Instance) -> dict[tuple[str, int], float]:
    """Of each model's version that has a series: whether its drift alarm is on."""
    series = re.compile(r'anomaly_drift_alarm\{model="(\w+)",version="(\d+)"\} (\S+)')
    return {(name, int(number)): float(on) for name, number, on in series.findall(instance.client.get("/metrics").text)}


def refusals(instance: Instance) -> dict[tuple[str, int], float]:
    """Of each version of a model that has a series: whether its files were refused."""
    series = re.compile(r'anomaly_bundle_refused\{model="(\w+)",version="(\d+)"\} (\S+)')
    return {(name, int(number)): float(on) for name, number, on in series.findall(instance.client.get("/metrics").text)}


def test_requests_are_counted_and_timed_by_route_and_code(own: Instance) -> None:
    own.score(png(1))
    own.score(b"text")
    own.client.get("/models/a")
    own.client.get("/models/b")
    own.client.get("/nowhere/at/all")
    own.client.get("/", headers={"Host": "evil.example"})
    assert value(own, 'anomaly_requests_total{code="200",route="/score"}') == 1
    assert value(own, 'anomaly_requests_total{code="415",route="/score"}') == 1
    assert value(own, 'anomaly_requests_total{code="404",route="/models/{name}"}') == 2
    assert value(own, 'anomaly_requests_total{code="404",route="none"}') == 1
    assert value(own, 'anomaly_requests_total{code="400",route="none"}') == 1
    assert value(own, 'anomaly_request_seconds_count{route="/score"}') == 2
    assert 0 < value(own, 'anomaly_request_seconds_sum{route="/score"}') < 20


def test_images_are_timed_where_they_spend_it_by_model(own: Instance, tmp_path: Path) -> None:
    add_bundle(tmp_path, "n", 4)
    own.client.post("/admin/load?model=n")
    own.batch(png(1), png(2), png(3))
    own.score(png(1), model="n")
    for labels, num_images in (('{model="m",version="1"}', 3), ('{model="n",version="4"}', 1)):
        assert value(own, f"anomaly_queue_seconds_count{labels}") == num_images
        assert value(own, f"anomaly_batch_images_sum{labels}") == num_images
        assert 1 <= value(own, f"anomaly_inference_seconds_count{labels}") <= num_images
    assert value(own, "anomaly_decode_seconds_count") == 4


def test_what_is_found_is_counted_by_model(own: Instance) -> None:
    own.batch(png(3), png(94), png(500), b"text")
    own.score(png(95), alpha=0.001)  # too few calibration images for a verdict
    labels = 'model="m",version="1"'
    verdicts = ("normal", "anomalous", "none")
    found = [value(own, f'anomaly_images_total{{model="m",verdict="{verdict}",version="1"}}') for verdict in verdicts]
    assert found == [2, 1, 1]
    assert value(own, f"anomaly_score_sum{{{labels}}}") == 3 + 94 + 500 + 95
    assert value(own, f'anomaly_score_bucket{{le="100.0",{labels}}}') == 3
    assert value(own, f"anomaly_p_value_sum{{{labels}}}") == pytest.approx(0.97 + 0.06 + 0.01 + 0.05)
    assert value(own, f'anomaly_p_value_bucket{{le="0.05",{labels}}}') == 2
    assert value(own, 'anomaly_batch_failures_total{code="unsupported_format"}') == 1


def test_the_queue_has_a_depth_and_an_age(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance, ThreadPoolExecutor(2) as clients:
        assert value(instance, "anomaly_queue_age_seconds") == 0
        instance.detector.gate.clear()
        first = clients.submit(instance.score, png(1))
        eventually(lambda: value(instance, "anomaly_queue_age_seconds") > 0)
        young = value(instance, "anomaly_queue_age_seconds")
        second = clients.submit(instance.score, png(2))
        eventually(lambda: depth(instance) == 2)
        assert value(instance, "anomaly_queue_age_seconds") > young > 0
        instance.detector.gate.set()
        assert [answer.result().status_code for answer in (first, second)] == [200, 200]
        eventually(lambda: depth(instance) == 0)
        assert value(instance, "anomaly_queue_age_seconds") == 0


def test_a_request_that_still_comes_waits_for_its_client_and_has_no_age(own: Instance) -> None:
    data = png(1)
    head = f"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: {len(data)}\r\n\r\n"
    with connected(own) as slow:
        slow.sendall(head.encode() + data[:-1])
        eventually(lambda: depth(own) == 1)
        assert value(own, "anomaly_queue_images") == 1
        assert value(own, "anomaly_queue_age_seconds") == 0
        own.detector.gate.clear()
        slow.sendall(data[-1:])
        eventually(lambda: value(own, "anomaly_queue_age_seconds") > 0)
        own.detector.gate.set()
        assert slow.recv(15) == b"HTTP/1.1 200 OK"


def test_what_is_found_has_series_before_the_first_image_and_so_its_rate_counts_that_too(
    own: Instance, tmp_path: Path
) -> None:
    def found(name: str, version: int) -> list[float | None]:
        lines = dict(line.rsplit(" ", 1) for line in own.client.get("/metrics").text.splitlines())
        labels = f'model="{name}",version="{version}"'
        verdicts = [f'anomaly_images_total{{model="{name}",verdict="{v}",version="{version}"}}' for v in VERDICTS]
        histograms = [f'anomaly_p_value_bucket{{le="0.05",{labels}}}', f"anomaly_score_count{{{labels}}}"]
        return [float(lines[each]) if each in lines else None for each in [*verdicts, *histograms]]

    assert found("m", 1) == [0, 0, 0, 0]
    add_bundle(tmp_path, "n", 4)
    assert found("n", 4) == [None] * 4
    own.client.post("/admin/load?model=n")
    assert found("n", 4) == [0, 0, 0, 0]
    for tag in (500, 501):
        own.score(png(tag), model="n")
    assert found("n", 4) == [0, 2, 2, 2]


def test_errors_have_series_before_the_first_and_so_its_rate_counts_that_too(own: Instance) -> None:
    scoring = ("/score", "/score/batch", "/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer")
    expected = {
        f'anomaly_requests_total{{code="{code}",route="{route}"}}'
        for route in (*scoring, "none")
        for code in (400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 431, 500, 503)
    } | {
        f'anomaly_batch_failures_total{{code="{code}"}}'
        for code in (
            "device_out_of_memory",
            "image_too_large",
            "internal_error",
            "undecodable_image",
            "unsupported_format",
            "unusable_image",
            "values_out_of_range",
        )
    }
    before = names(own)
    assert {each for each in before if each.startswith(("anomaly_requests_total", "anomaly_batch_failures_t"))} == (
        expected
    )
    own.score(b"text")
    own.batch(b"text", png(1), png(POISON))
    own.client.get("/", headers={"Host": "evil.example"})
    own.client.post("/v2/models/m/infer", json={})
    again = names(own) - before
    assert {each for each in again if each.startswith("anomaly_requests_total")} == {
        f'anomaly_requests_total{{code="200",route="{route}"}}' for route in ("/metrics", "/score/batch")
    }


def test_times_are_told_up_to_what_a_request_may_take() -> None:
    """And apart from each other around the deadline: Prometheus guesses within a bucket, and tells none above all."""
    settings = Settings()
    assert settings.deadline_s in SECONDS
    assert max(SECONDS) >= settings.receive_limit_s > settings.deadline_s


def test_nothing_that_clients_send_makes_series(own: Instance) -> None:
    own.score(png(1))
    own.batch(b"text")
    own.client.get("/models/a")
    own.client.get("/a")
    own.score(png(1), model="x")
    own.client.get("/metrics")
    before = names(own)
    for i in range(50):
        own.client.get(f"/models/name-{i}")
        own.client.get(f"/path-{i}", headers={"X-Request-ID": f"id-{i}", "Authorization": f"Bearer {i}"})
        own.score(png(i), model=f"model-{i}", version=i + 1)
        own.score(png(1), alpha=0.1 + i / 100)
        own.client.post("/score/batch", files=[("files", (f"name-{i}", b"text", f"image/{i}"))])
        own.client.request(f"METHOD{i}", "/score")
    assert {name for name in names(own) - before if "405" not in name} == set()


def test_apps_do_not_share_their_counts() -> None:
    first, second = Telemetry(), Telemetry()
    first.observe_request("/score", 200, 0.1)
    assert b'route="/score"' in first.exposition()
    assert b'route="/score"' not in second.exposition()


def test_a_requests_wait_for_the_history_is_timed(tmp_path: Path) -> None:
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as kept:
        kept.batch(png(1), png(2), b"text")
        kept.score(png(3))
        kept.score(b"text")
        assert value(kept, "anomaly_history_seconds_count") == 2
        assert 0 < value(kept, "anomaly_history_seconds_sum") < 20


def test_without_a_history_there_is_nothing_to_wait_for(own: Instance) -> None:
    own.score(png(1))
    assert value(own, "anomaly_history_seconds_count") == 0


def test_drift_has_series_of_the_current_versions_alone(own: Instance, tmp_path: Path) -> None:
    own.batch(*[png(1000)] * 12)
    assert alarms(own) == {("m", 1): 1.0}
    add_bundle(tmp_path, "m", 2)
    own.client.post("/admin/load?model=m")
    assert alarms(own) == {("m", 2): 0.0}
    own.client.post("/admin/unload?model=m&version=2")
    assert alarms(own) == {("m", 1): 1.0}
    add_bundle(tmp_path, "n", 4)
    own.client.post("/admin/load?model=n")
    own.client.post("/admin/unload?model=m&version=1")
    assert alarms(own) == {("n", 4): 0.0}


def test_the_drift_of_a_history_is_there_before_the_first_image_and_ends_when_it_begins_anew(tmp_path: Path) -> None:
    place = tmp_path / "history.sqlite"
    with open_instance(tmp_path / "models", history=place) as first:
        first.batch(*[png(1000)] * 12)
        evidence = value(first, 'anomaly_drift_log10_martingale{model="m",version="1"}')
        assert evidence > 2
    shutil.rmtree(tmp_path / "models")
    with open_instance(tmp_path / "models", history=place) as again:
        assert alarms(again) == {("m", 1): 1.0}
        assert value(again, 'anomaly_drift_log10_martingale{model="m",version="1"}') == evidence
        restart_drift(place, "m")
        assert alarms(again) == {("m", 1): 0.0}


def test_drift_stays_as_it_was_while_the_history_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: object, **limits: float) -> None:
        raise HistoryUnavailableError("away")

    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as instance:
        instance.batch(*[png(1000)] * 12)
        assert alarms(instance) == {("m", 1): 1.0}
        monkeypatch.setattr(History, "read", away)
        assert alarms(instance) == {("m", 1): 1.0}


def test_each_version_has_a_series_that_tells_if_it_was_refused(own: Instance, tmp_path: Path) -> None:
    assert refusals(own) == {("m", 1): 0}
    add_bundle(tmp_path, "m", 2, flaw="broken")
    own.client.post("/admin/rescan")
    assert refusals(own) == {("m", 1): 0, ("m", 2): 1}
    assert own.score(png(1)).json()["version"] == 1
    (tmp_path / "m" / "1" / "broken").touch()
    own.client.post("/admin/load?model=m&version=1")
    assert refusals(own) == {("m", 1): 1, ("m", 2): 1}  # the old files of 1 are served on
    (tmp_path / "m" / "2" / "broken").unlink()
    shutil.rmtree(tmp_path / "m" / "1")
    own.client.post("/admin/rescan")
    assert refusals(own) == {("m", 1): 0, ("m", 2): 0}
    own.client.post("/admin/unload?model=m&version=1")
    assert refusals(own) == {("m", 2): 0}  # a series that stays would keep its alert on


def test_a_key_with_a_last_day_has_a_series_of_its_end_while_it_is_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    reader = add_key(file, "reader", ["score"])
    add_key(file, "guest", ["score"], expires="2099-12-31")
    with open_instance(tmp_path / "models", keys=file) as own:
        own.client.headers["Authorization"] = f"Bearer {reader}"
        series = 'anomaly_key_expiry_timestamp_seconds{key="guest"}'
        assert value(own, series) == 4102444800  # 2100-01-01
        assert "reader" not in own.client.get("/metrics").text
        remove_key(file, "guest")
        own.app.state.refresh()
        assert series not in names(own)
