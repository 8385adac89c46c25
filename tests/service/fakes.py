"""A detector whose score is a number written in the image, and a server around it."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY, create_server
from types import SimpleNamespace
from typing import Any, cast

import httpx
import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image

from anomaly.bundle import Bundle, BundleRef, Contents, DataRecord, Manifest
from anomaly.calibration import Calibration
from anomaly.config import PreprocessConfig, Recipe
from anomaly.data import PixelsOfImages
from anomaly.errors import CorruptBundleError
from anomaly.inference import Detector, Evidence, Explanation
from anomaly.scoring import TermStatistics
from service.app import create_app
from service.edge.server import Server
from service.settings import Settings

SIDE = 8
POISON = 2**24 - 1
NOT_FINITE = 2**24 - 2
NUM_CALIBRATION = 99
HOT = (5, 2)
"""Row and column."""
SETTINGS = Settings()
Pixels = NDArray[np.uint8]


def tagged(tag: int) -> Pixels:
    """An 8×8 grey image (1, 8, 8) that carries `tag`, 0 … 2**24 - 1."""
    pixels = np.zeros((1, SIDE, SIDE), np.uint8)
    pixels[0, 0, :3] = list(tag.to_bytes(3, "big"))
    return pixels


def png(tag: int) -> bytes:
    buffer = BytesIO()
    Image.fromarray(tagged(tag)[0]).save(buffer, "PNG")
    return buffer.getvalue()


def pages(*tags: int) -> bytes:
    """A TIFF with a page for each tag."""
    buffer = BytesIO()
    first, *others = (Image.fromarray(tagged(tag)[0]) for tag in tags)
    first.save(buffer, "TIFF", save_all=True, append_images=others)
    return buffer.getvalue()


def picture(width: int, height: int, kind: str = "PNG", mode: str = "L") -> bytes:
    buffer = BytesIO()
    Image.new(mode, (width, height)).save(buffer, kind)
    return buffer.getvalue()


def a_bundle(ref: BundleRef) -> Bundle:
    """As much of a bundle as the service looks at."""
    manifest = Manifest.model_construct(
        recipe=Recipe(preprocess=PreprocessConfig(size=SIDE)),
        metrics={"loss": 0.5},
        data=DataRecord.model_construct(calibration_sizes=None, num_select=100),
    )
    calibration = Calibration.fit(np.arange(NUM_CALIBRATION, dtype=np.float64))
    statistics = TermStatistics(("residual",), np.array([2.0]), np.array([4.0]), np.eye(1))
    contents = cast("Contents", SimpleNamespace(manifest=manifest, calibration=calibration, statistics=statistics))
    return Bundle(ref, f"digest of {ref.name}/{ref.version}", contents, f"# {ref.name}")


class TaggedDetector(Detector):
    """Scores an image by its tag, and by half more if it is called `other`. `gate` holds the device up.

    POISON fails the whole batch it is in. The device has memory for `num_fit` images, and a batch takes `batch_s`.
    Heatmaps are 0.5, and `hottest` at HOT.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.is_busy = False
        self.num_fit = 1000
        self.batch_s = 0.0
        self.hottest = 0.5

    def warm(self, max_images: int) -> None:
        self.warmed = max_images

    @property
    def grain(self) -> int:
        return 16

    def evidence(self, pixels: PixelsOfImages) -> Evidence:
        pixels = np.asarray(pixels)
        self.is_busy = True
        assert self.gate.wait(20)
        self.is_busy = False
        self.batches.append(len(pixels))
        time.sleep(self.batch_s)
        if len(pixels) > self.num_fit:
            raise MemoryError("the device is full")
        flat = pixels.reshape(len(pixels), -1)[:, :3].astype(np.float64)
        tags = flat @ np.array([65536.0, 256.0, 1.0])
        if (tags == POISON).any():
            raise RuntimeError("the device says no")
        scores = np.where(tags == NOT_FINITE, np.nan, tags) + 0.5 * (self.bundle.name == "other")
        return Evidence(scores, {"residual": tags / 2}, np.zeros((len(pixels), 1), np.float32))

    def examine(self, pixels: PixelsOfImages) -> tuple[Evidence, Explanation]:
        evidence = self.evidence(pixels)
        x_hat = (np.asarray(pixels) / 127.5 - 1).astype(np.float32)
        heatmap = np.full((len(pixels), SIDE, SIDE), 0.5, np.float32)
        heatmap[:, HOT[0], HOT[1]] = self.hottest
        return evidence, Explanation(x_hat, list(heatmap))


def load_tagged(path: Path) -> TaggedDetector:
    """What stands at `path`: a file `broken` makes the bundle corrupt, a file `strange` fails unforeseen."""
    if (path / "broken").exists():
        raise CorruptBundleError(f"the bundle {path} is corrupt")
    if (path / "strange").exists():
        raise RuntimeError("unforeseen")
    return TaggedDetector(a_bundle(BundleRef(path.parent.name, int(path.name), path)))


def add_bundle(models: Path, name: str, version: int = 1, *, flaw: str | None = None) -> None:
    folder = models / name / str(version)
    folder.mkdir(parents=True)
    if flaw:
        (folder / flaw).touch()


@contextmanager
def served(app: FastAPI, settings: Settings = SETTINGS, **options: Any) -> Iterator[httpx.Client]:
    """`app` behind a real server on this machine; leaves when it has shut down. `options` are uvicorn's."""
    with create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # as the app's own listener
        host, port = listener.getsockname()
        server = Server(app, settings, shedding=app.state.shedding, on_stop=app.state.stop, **options)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            scheme = "https" if settings.tls_cert else "http"
            trusted = ssl.create_default_context(cafile=settings.tls_cert) if settings.tls_cert else True
            with httpx.Client(
                base_url=f"{scheme}://{host}:{port}", verify=trusted, trust_env=False, timeout=20
            ) as client:
                yield client
        finally:
            app.state.stop()
            server.should_exit = True
            thread.join()


class Instance:
    """A served app with one bundle, `m`, and its detector."""

    def __init__(self, client: httpx.Client, detector: TaggedDetector, app: FastAPI) -> None:
        self.client = client
        self.detector = detector
        self.app = app

    def score(self, data: bytes, **query: Any) -> httpx.Response:
        return self.client.post("/score", params=query, content=data, headers={"Content-Type": "image/png"})

    def batch(self, *files: bytes) -> httpx.Response:
        return self.client.post("/score/batch", files=[("files", (f"{i}.png", f)) for i, f in enumerate(files)])


@contextmanager
def open_instance(models: Path, *, options: dict[str, Any] | None = None, **settings: Any) -> Iterator[Instance]:
    """Serve a bundle called `m`, ready to score; `options` are uvicorn's."""
    add_bundle(models, "m")
    detectors: list[TaggedDetector] = []
    settled = threading.Event()

    def load(path: Path) -> Detector:
        detectors.append(load_tagged(path))
        return detectors[-1]

    chosen = Settings(models=models, threads=2, **settings)
    app = create_app(chosen, load=load, on_settled=lambda pool: settled.set())
    with served(app, chosen, **(options or {})) as client:
        assert settled.wait(10)
        yield Instance(client, detectors[0], app)
