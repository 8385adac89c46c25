"""Damaged images and bombs against the service as it is run: no 5xx, bounded memory, and the good ones unharmed.

A few hundred damaged images are enough for every change; `make hostile` sends 5,000 (ANOMALY_HOSTILE_IMAGES) and prints
what came of them.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bombs import make_bombs
from tests.mutations import mutated, png_of, samples
from tests.service.processes import Process, running

NUM_IMAGES = int(os.environ.get("ANOMALY_HOSTILE_IMAGES", "300"))
MAX_GROWTH_MB = 100
REFUSALS = {413: {"image_too_large"}, 415: {"unsupported_format"}, 422: {"undecodable_image"}}
IMAGE = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def server(bigan_dir: Path) -> Iterator[Process]:
    with running(bigan_dir.parent) as process:
        for sample in list(samples())[::5] * 2:
            assert process.client.post("/score", content=sample.data, headers=IMAGE).status_code == 200
        yield process


def test_the_same_pixels_get_the_same_score_in_every_format_kind_and_orientation(server: Process) -> None:
    def score(data: bytes) -> float:
        answer = server.client.post("/score", content=data, headers=IMAGE)
        assert answer.status_code == 200, answer.text
        return float(answer.json()["score"])

    differing = set()
    for sample in samples():
        expected = score(png_of(sample.seen))
        differing.add(round(expected, 4))
        assert score(sample.data) == pytest.approx(expected, rel=1e-5, abs=1e-5), sample.name
    assert len(differing) > 40  # eight orientations of each kind: the model does see what is turned


def test_damaged_images_are_scored_or_refused_and_nothing_else(server: Process) -> None:
    good = next(samples()).data
    before = server.client.post("/score", content=good, headers=IMAGE).json()["score"]
    outcomes: Counter[str] = Counter()
    resident_mb = server.resident_mb()
    server.forget_peak()
    for name, data in mutated(NUM_IMAGES):
        answer = server.client.post("/score", content=data, headers=IMAGE)
        outcomes[f"{answer.status_code} {answer.json().get('error', {}).get('code', '')}"] += 1
        if answer.status_code != 200:
            assert answer.json()["error"]["code"] in REFUSALS.get(answer.status_code, set()), f"{name}: {answer.text}"
    growth_mb = server.peak_mb() - resident_mb
    print(f"\n{NUM_IMAGES} damaged images: {dict(outcomes)}; memory +{growth_mb:.0f} MB at most")  # noqa: T201
    assert growth_mb <= MAX_GROWTH_MB
    assert server.client.post("/score", content=good, headers=IMAGE).json()["score"] == before
    assert len(outcomes) == 4  # each outcome came up, so the mutations are neither too mild nor too harsh


def test_bombs_are_refused_or_not_unpacked_and_memory_stays(server: Process) -> None:
    resident_mb = server.resident_mb()
    print()  # noqa: T201
    for bomb in make_bombs():
        server.forget_peak()
        start = time.perf_counter()
        answer = server.client.post("/score", content=bomb.data, headers=IMAGE | bomb.headers)
        took_ms = (time.perf_counter() - start) * 1e3
        growth_mb = server.peak_mb() - resident_mb
        print(f"{bomb.name:<42}{answer.status_code}{took_ms:8.0f} ms  +{max(0.0, growth_mb):.0f} MB")  # noqa: T201
        assert answer.status_code == bomb.status, f"{bomb.name}: {answer.text}"
        assert growth_mb <= MAX_GROWTH_MB, bomb.name
        assert took_ms < 2000, bomb.name  # 200 ms, and a busy machine
