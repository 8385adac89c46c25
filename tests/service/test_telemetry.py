from service.telemetry import Telemetry
from tests.service.fakes import House, png


def value(house: House, series: str) -> float:
    lines = house.client.get("/metrics").text.splitlines()
    return next((float(line.removeprefix(series)) for line in lines if line.startswith(series + " ")), 0.0)


def test_requests_are_counted_by_route_and_code(house: House) -> None:
    house.score(png(1))
    house.score(b"text")
    house.client.get("/models/a")
    house.client.get("/models/b")
    house.client.get("/nowhere/at/all")
    house.client.get("/", headers={"Host": "evil.example"})
    assert value(house, 'anomaly_requests_total{code="200",route="/score"}') == 1
    assert value(house, 'anomaly_requests_total{code="415",route="/score"}') == 1
    assert value(house, 'anomaly_requests_total{code="404",route="/models/{name}"}') == 2
    assert value(house, 'anomaly_requests_total{code="404",route="none"}') == 1
    assert value(house, 'anomaly_requests_total{code="400",route="none"}') == 1


def test_images_are_timed_where_they_spend_it(house: House) -> None:
    names = ("decode_seconds_count", "queue_seconds_count", "batch_images_sum")
    before = [value(house, f"anomaly_{name}") for name in names]
    batches = value(house, "anomaly_inference_seconds_count")
    house.batch(png(1), png(2), png(3))
    assert [value(house, f"anomaly_{name}") - old for name, old in zip(names, before, strict=True)] == [3, 3, 3]
    assert 1 <= value(house, "anomaly_inference_seconds_count") - batches <= 3
    assert value(house, "anomaly_queue_images") == 0


def test_apps_do_not_share_their_counts() -> None:
    first, second = Telemetry(), Telemetry()
    first.count_request("/score", 200)
    assert b'route="/score"' in first.exposition()
    assert b'route="/score"' not in second.exposition()
