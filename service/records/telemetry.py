"""What the server measures of itself, for Prometheus. Each app has a registry of its own.

Labels come from the server only: routes by their template (`/models/{name}`), bundles by the name and version that
answered, codes from the table of errors, keys by the name that their file gives them. Nothing that a client sends
becomes a label, so no client can make the number of series grow.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from anomaly.bundle import Bundle
from anomaly.errors import ImageError
from service.errors import FRAMEWORK_CODES, INTERNAL, STATUS, DeviceMemoryError
from service.records.drift import Watched

SECONDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0,
)  # fmt: skip
"""Up to what a request may take: beyond the last of them Prometheus tells no time."""
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SCORES = (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100, 200, 500, 1000, 5000, 20000)
P_VALUES = (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MODEL = ["model", "version"]
OF_PEERS = {408, 431}
"""What the server's `protocol` answers."""
ERRORS = sorted({status for status, _ in (*STATUS.values(), INTERNAL)} | FRAMEWORK_CODES.keys() | OF_PEERS)
OF_IMAGES = (ImageError, DeviceMemoryError)
FAILURES = sorted({code for kind, (_, code) in STATUS.items() if issubclass(kind, OF_IMAGES)} | {INTERNAL[1]})
"""Codes of what may be wrong with one image of a batch."""
Metric = TypeVar("Metric", Counter, Gauge, Histogram)
VERDICTS = {True: "anomalous", False: "normal", None: "none"}


class Telemetry:
    """Requests, the time that each step of an image takes, and what is found in the images."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._known: dict[tuple[object, ...], Any] = {}
        self._requests = Counter("anomaly_requests", "Requests.", ["route", "code"], registry=registry)
        self._seconds = _seconds("anomaly_request_seconds", "A request, head to answer.", ["route"], registry)
        self._decode = _seconds("anomaly_decode_seconds", "Decoding and preprocessing one image.", [], registry)
        self._queue = _seconds("anomaly_queue_seconds", "One image's wait for the device.", MODEL, registry)
        self._inference = _seconds("anomaly_inference_seconds", "One batch's time on the device.", MODEL, registry)
        self._batch = Histogram(
            "anomaly_batch_images", "Images in one batch.", MODEL, buckets=IMAGES, registry=registry
        )
        self._depth = Gauge("anomaly_queue_images", "Images accepted and not yet answered.", registry=registry)
        self._age = Gauge("anomaly_queue_age_seconds", "How long the oldest that has come waits.", registry=registry)
        self._images = Counter("anomaly_images", "Images scored.", [*MODEL, "verdict"], registry=registry)
        self._failures = Counter("anomaly_batch_failures", "Images of batches not scored.", ["code"], registry=registry)
        for code in FAILURES:
            self._failures.labels(code)
        self._score = Histogram("anomaly_score", "Raw scores.", MODEL, buckets=SCORES, registry=registry)
        self._p_value = Histogram("anomaly_p_value", "p-values.", MODEL, buckets=P_VALUES, registry=registry)
        self._drift = Gauge("anomaly_drift_log10_martingale", "Evidence of drift.", MODEL, registry=registry)
        self._alarm = Gauge("anomaly_drift_alarm", "1 once the drift alarm is on.", MODEL, registry=registry)
        self._refused = Gauge("anomaly_bundle_refused", "1 while a bundle is refused.", MODEL, registry=registry)
        self._key_end = Gauge("anomaly_key_expiry_timestamp_seconds", "When a key ends.", ["key"], registry=registry)
        self._ends: Callable[[], Mapping[str, float]] = dict
        self._keep = _seconds("anomaly_history_seconds", "A request's wait for its rows' commit.", [], registry)
        self._history = Counter("anomaly_history_failures", "Scored images not kept in the history.", registry=registry)
        self._unkept = Gauge("anomaly_history_failing", "1 while the history cannot be written.", registry=registry)

    def watch_queue(self, num_images: Callable[[], float], age_s: Callable[[], float]) -> None:
        """Ask for the queue's depth and for the age of its oldest image whenever the series are read."""
        self._depth.set_function(num_images)
        self._age.set_function(age_s)

    def watch_history(self, is_failing: Callable[[], bool]) -> None:
        """Ask whether the history cannot be written whenever the series are read."""
        self._unkept.set_function(is_failing)

    def watch_keys(self, ends: Callable[[], Mapping[str, float]]) -> None:
        """Ask for the Unix times at which keys end, by their names, whenever the series are read."""
        self._ends = ends

    def watch_certificate(self, end: Callable[[], float]) -> None:
        """Have a series of the Unix time at which the server's certificate ends; ask for it whenever it is read."""
        name = "anomaly_certificate_expiry_timestamp_seconds"
        Gauge(name, "When the certificate ends.", registry=self.registry).set_function(end)

    def observe_request(self, route: str, code: int, seconds: float | None) -> None:
        """Note one answered request; without `seconds` it is counted and not timed."""
        self._series(self._requests, route, str(code)).inc()
        if seconds is not None:
            self._series(self._seconds, route).observe(seconds)

    def decoding(self) -> AbstractContextManager[None]:
        """Time the decoding of one image."""
        return _timing(self._decode)

    def keeping(self) -> AbstractContextManager[None]:
        """Time one request's wait until the history has its rows."""
        return _timing(self._keep)

    def observe_batch(self, bundle: Bundle, queue_s: Sequence[float], inference_s: float) -> None:
        """Note one device batch: each image's wait, and the time of all in the networks."""
        labels = bundle.name, str(bundle.version)
        self._batch.labels(*labels).observe(len(queue_s))
        self._inference.labels(*labels).observe(inference_s)
        queue = self._queue.labels(*labels)
        for seconds in queue_s:
            queue.observe(seconds)

    def observe_score(self, bundle: Bundle, score: float, p_value: float, is_anomalous: bool | None) -> None:
        """Note what was found in one image."""
        labels = bundle.name, str(bundle.version)
        self._series(self._images, *labels, VERDICTS[is_anomalous]).inc()
        self._series(self._score, *labels).observe(score)
        self._series(self._p_value, *labels).observe(p_value)

    def expect_errors(self, routes: Iterable[str]) -> None:
        """Have series of each error of these, at 0: Prometheus does not count what a series has when it appears."""
        for route in routes:
            for status in ERRORS:
                self._series(self._requests, route, str(status))

    def expect(self, bundles: Iterable[Bundle]) -> None:
        """Have series of what these will find, at 0, as `expect_errors` does."""
        for bundle in bundles:
            labels = bundle.name, str(bundle.version)
            for verdict in (VERDICTS[False], VERDICTS[True]):
                self._series(self._images, *labels, verdict)
            self._series(self._score, *labels)
            self._series(self._p_value, *labels)

    def show_drift(self, watched: Iterable[tuple[Bundle, Watched]]) -> None:
        """Have series of the drift of these bundles, as it is now, and of no others."""
        self._drift.clear()
        self._alarm.clear()
        for bundle, each in watched:
            labels = bundle.name, str(bundle.version)
            self._drift.labels(*labels).set(each.drift.log10_martingale)
            self._alarm.labels(*labels).set(each.alarm_time is not None)

    def show_refused(self, versions: Iterable[tuple[str, int, bool]]) -> None:
        """Have a series of each of these versions, which tells if its files were refused, and of no others."""
        self._refused.clear()
        for name, version, is_refused in versions:
            self._refused.labels(name, str(version)).set(is_refused)

    def count_unkept(self, num_images: int) -> None:
        """Note scored images that the history could not keep."""
        self._history.inc(num_images)

    def count_failure(self, code: str) -> None:
        """Note one image of a batch that could not be scored; those sent alone are among the requests."""
        self._failures.labels(code).inc()

    def _series(self, metric: Metric, *labels: str) -> Metric:
        """The series with these labels; looking it up in the metric takes a lock and three times as long."""
        found: Metric | None = self._known.get((metric, *labels))
        if found is None:
            found = self._known[metric, *labels] = metric.labels(*labels)
        return found

    def exposition(self) -> bytes:
        """All series in Prometheus' text format."""
        self._key_end.clear()
        for name, end in self._ends().items():
            self._key_end.labels(name).set(end)
        return generate_latest(self.registry)


@contextmanager
def _timing(metric: Histogram) -> Iterator[None]:
    start = perf_counter()
    try:
        yield
    finally:
        metric.observe(perf_counter() - start)


def _seconds(name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry) -> Histogram:
    return Histogram(name, documentation, labels, buckets=SECONDS, registry=registry)
