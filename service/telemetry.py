"""What the server measures of itself, for Prometheus. Each app has a registry of its own.

Routes are counted by their template (`/models/{name}`), never by the path asked for, so that no client can make the
number of series grow.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Telemetry:
    """Counts of requests, and where the time of an image goes: decoding, waiting, the networks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "anomaly_requests", "Requests by route and status code.", ["route", "code"], registry=self.registry
        )
        self._decode = _seconds("anomaly_decode_seconds", "Decoding and preprocessing one image.", self.registry)
        self._queue = _seconds("anomaly_queue_seconds", "One image's wait for the device.", self.registry)
        self._inference = _seconds("anomaly_inference_seconds", "One batch's time on the device.", self.registry)
        self._batch = Histogram("anomaly_batch_images", "Images a batch.", buckets=IMAGES, registry=self.registry)
        self._depth = Gauge("anomaly_queue_images", "Images accepted and not yet answered.", registry=self.registry)

    def watch_queue(self, num_admitted: Callable[[], float]) -> None:
        """Ask `num_admitted` for the queue's depth whenever the series are read."""
        self._depth.set_function(num_admitted)

    def observe_batch(self, queue_s: Sequence[float], inference_s: float) -> None:
        """Note one device batch: each image's wait, and the time of all in the networks."""
        self._batch.observe(len(queue_s))
        self._inference.observe(inference_s)
        for seconds in queue_s:
            self._queue.observe(seconds)

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Time the decoding of one image."""
        start = perf_counter()
        try:
            yield
        finally:
            self._decode.observe(perf_counter() - start)

    def count_request(self, route: str, code: int) -> None:
        """Note one answered request."""
        self._requests.labels(route, str(code)).inc()

    def exposition(self) -> bytes:
        """All series in Prometheus' text format."""
        return generate_latest(self.registry)


class CountRequests:
    """ASGI middleware that counts each HTTP request by its route's template and its status code."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.app = app
        self.telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count it when it is answered; an exception counts as 500."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        code = 500

        async def note_code(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, note_code)
        finally:
            self.telemetry.count_request(getattr(scope.get("route"), "path", "none"), code)


def _seconds(name: str, documentation: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(name, documentation, buckets=SECONDS, registry=registry)
