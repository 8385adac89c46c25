"""Bundles that change while the server scores with them: 200 corrupt ones, and 100 good ones under load."""

import http.client
import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from anomaly.bundle.layout import EVIDENCE, REQUIRED, SUMS
from anomaly.inference import Detector, load_detector
from anomaly.pipeline.train import TrainOptions, train_bundle
from service.app import create_app
from service.settings import Settings
from tests.bundle.copies import sum_again
from tests.bundle.test_corruption import (
    Spoil,
    empty,
    extend,
    halve,
    make_dangling_link,
    make_folder,
    make_link,
    make_pickle,
    make_pipe,
    truncate,
)
from tests.service.fakes import served
from tests.service.routes.test_score import code

NUM_CORRUPT = 200
NUM_SWAPS = 100
NUM_CLIENTS = 4
SUMMED = [*REQUIRED, EVIDENCE]
FILES = [*SUMMED, SUMS]
SPOILS: list[Spoil] = [
    truncate, halve, empty, extend, make_pickle, make_link, make_dangling_link, make_folder, make_pipe, Path.unlink,
]  # fmt: skip


def drawing(seed: int) -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


DRAWINGS = [drawing(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def bundles(bigan_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Version directories of two bundles that score differently."""
    other = tmp_path_factory.mktemp("other") / "bigan"
    overrides = {"training": {"steps": 10, "batch_size": 16}, "network": {"latent_dim": 2, "width": 4}}
    train_bundle(TrainOptions("digits", other, "digits", overrides, ("1",), device="cpu"))
    return [bigan_dir / "1", other / "1"]


@pytest.fixture
def models(bundles: list[Path], tmp_path: Path) -> Path:
    """A models folder with the first of them as m/1."""
    shutil.copytree(bundles[0], tmp_path / "models" / "m" / "1")
    return tmp_path / "models"


@pytest.fixture
def client(models: Path) -> Iterator[httpx.Client]:
    settled = threading.Event()
    settings = Settings(models=models, device="cpu", threads=1)
    with served(create_app(settings, on_settled=lambda pool: settled.set())) as client:
        assert settled.wait(30)
        yield client


def score(client: httpx.Client, image: bytes) -> Any:
    answer = client.post("/score", content=image, headers={"Content-Type": "image/png"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def replace(bundle: Path, place: Path) -> None:
    """Put a copy of a bundle in a place, whatever is there."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(bundle, place)


def corruptions() -> list[tuple[str, Spoil]]:
    """NUM_CORRUPT ways to spoil a version directory, with their names."""
    ways: list[tuple[str, Spoil]] = [
        (f"{spoil.__name__} {file}", partial(_spoil, spoil, file)) for spoil in SPOILS for file in FILES
    ]
    ways += [(f"pickle with right sums {file}", partial(_summed_pickle, file)) for file in SUMMED]
    rng = np.random.default_rng(0)
    for i in range(NUM_CORRUPT - len(ways)):
        file, where, flip = FILES[i % len(FILES)], float(rng.random()), int(rng.integers(1, 256))
        ways.append((f"{where} of {file} flipped by {flip}", partial(_flip, file, where, flip)))
    return ways


def _spoil(spoil: Spoil, file: str, bundle: Path) -> None:
    spoil(bundle / file)


def _summed_pickle(file: str, bundle: Path) -> None:
    make_pickle(bundle / file)
    sum_again(bundle)


def _flip(file: str, where: float, flip: int, bundle: Path) -> None:
    data = bytearray((bundle / file).read_bytes())
    data[int(where * len(data))] ^= flip
    (bundle / file).write_bytes(data)


def test_200_corrupt_bundles_are_refused_and_the_old_one_serves(
    client: httpx.Client, models: Path, bundles: list[Path]
) -> None:
    before = [score(client, image) for image in DRAWINGS]
    ways = corruptions()
    assert len({name for name, _ in ways}) == NUM_CORRUPT
    for i, (name, spoil) in enumerate(ways):
        version = 1 + i % 2  # in the place of the one that serves, and as a new version
        place = models / "m" / str(version)
        replace(bundles[1], place)
        spoil(place)
        refused = client.post("/admin/load", params={"model": "m", "version": version})
        assert code(refused) == (422, "bundle_refused"), name
        assert "is corrupt" in refused.json()["error"]["message"], name
        assert score(client, DRAWINGS[i % 3]) == before[i % 3], name
        shutil.rmtree(place)
    assert client.get("/readyz").status_code == 200
    replace(bundles[1], models / "m" / "1")
    assert client.post("/admin/load?model=m&version=1").status_code == 200
    assert score(client, DRAWINGS[0])["digest"] != before[0]["digest"]


def ask_until(done: threading.Event, port: int) -> list[tuple[int, int, str, float]]:
    """Score the drawings over and over: which, status, digest and score of each answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    answers = []
    while not done.is_set():
        for i, image in enumerate(DRAWINGS):
            connection.request("POST", "/score?model=m", image, {"Content-Type": "image/png"})
            answer = connection.getresponse()
            body = json.loads(answer.read())
            answers.append((i, answer.status, body.get("digest", ""), body.get("score", np.nan)))
    connection.close()
    return answers


def test_100_swaps_under_load_lose_nothing_and_every_digest_matches_its_score(
    client: httpx.Client, models: Path, bundles: list[Path]
) -> None:
    detectors = [load_detector(bundle, device="cpu") for bundle in bundles]
    expected = {detector.bundle.digest: scores_of(detector) for detector in detectors}
    digests = list(expected)
    done = threading.Event()
    with ThreadPoolExecutor(NUM_CLIENTS) as clients:
        asking = [clients.submit(ask_until, done, client.base_url.port or 0) for _ in range(NUM_CLIENTS)]
        try:
            version = 1
            for swap in range(1, NUM_SWAPS + 1):
                if swap % 10 == 0:  # a new version; else new files in the place of those that serve
                    version += 1
                replace(bundles[swap % 2], models / "m" / str(version))
                path = "/admin/rescan" if swap % 3 == 0 else f"/admin/load?model=m&version={version}"
                assert client.post(path).status_code == 200
                found = score(client, DRAWINGS[0])
                assert (found["version"], found["digest"]) == (version, digests[swap % 2])
        finally:
            done.set()
        answers = [answer for client_answers in asking for answer in client_answers.result()]
    assert {status for _, status, _, _ in answers} == {200}
    assert {digest for _, _, digest, _ in answers} == set(digests)
    assert len(answers) > 2 * NUM_SWAPS
    for i, _, digest, got in answers:
        assert got == pytest.approx(expected[digest][i], rel=1e-5, abs=1e-5)


def scores_of(detector: Detector) -> list[float]:
    return [float(detector.score([Image.open(BytesIO(image))]).score[0]) for image in DRAWINGS]
