"""With real bundles: `/score` gives the numbers that Python gives, and bad files get their reasons."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from anomaly.config import Method
from anomaly.inference import Detector, load_detector
from anomaly.pipeline.train import TrainOptions, train_bundle
from service.app import create_app
from service.settings import Settings
from tests.bad_files import make_bad_files
from tests.service.fakes import served

SEARCH = {"steps": 5}
TOLERANCE = {method.value: 1e-3 if method is Method.ANOGAN else 1e-5 for method in Method}


@dataclass(frozen=True)
class Real:
    """A server with an untrained model of each method, and the same detectors beside it."""

    client: httpx.Client
    detectors: dict[str, Detector]

    def score(self, model: str, data: bytes, name: str = "image") -> httpx.Response:
        return self.client.post("/score", params={"model": model}, files={"file": (name, data)})

    def batch(self, model: str, files: dict[str, bytes]) -> list[Any]:
        parts = [("files", item) for item in files.items()]
        answer = self.client.post("/score/batch", params={"model": model}, files=parts)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["results"])


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    models = tmp_path_factory.mktemp("models")
    for method in Method:
        of_places = {"preprocess": {"size": 32}, "features": {"memory": 64}}
        overrides: dict[str, Any] = of_places if method is Method.FEATURES else {"network": {"width": 4}}
        overrides |= {"training": {"method": method, "steps": 2, "batch_size": 8}}
        overrides |= {"search": SEARCH} if method is Method.ANOGAN else {}
        train_bundle(TrainOptions("digits", models / method, "digits", overrides, ("0",), device="cpu"))
    settled = threading.Event()
    settings = Settings(models=models, device="cpu", threads=2)
    with served(create_app(settings, on_settled=lambda pool: settled.set())) as client:
        assert settled.wait(30)
        yield Real(client, {method: load_detector(models / method, device="cpu") for method in Method})


def drawings(kind: str) -> dict[str, bytes]:
    """Ten pictures of noise in different sizes, without loss, as files of this kind."""
    rng = np.random.default_rng(0)
    files = {}
    for i in range(10):
        buffer = BytesIO()
        Image.fromarray(rng.integers(0, 256, (8 + i, 20 - i), dtype=np.uint8)).save(buffer, kind)
        files[str(i)] = buffer.getvalue()
    return files


@pytest.mark.parametrize("model", list(Method))
def test_a_score_is_the_same_by_python_alone_in_a_batch_and_in_another_format(real: Real, model: str) -> None:
    pngs, bmps = drawings("PNG"), drawings("BMP")
    images = [Image.open(BytesIO(data)) for data in pngs.values()]
    expected = real.detectors[model].score(list(images), alpha=0.05)
    alone = [real.score(model, data).json() for data in pngs.values()]
    ways = [
        alone,
        real.batch(model, pngs),
        real.batch(model, bmps),
        real.batch(model, dict(reversed(pngs.items())))[::-1],
    ]
    for way in ways:
        scores = [result["score"] for result in way]
        np.testing.assert_allclose(scores, expected.score, rtol=TOLERANCE[model], atol=TOLERANCE[model])
        assert [result["is_anomalous"] for result in way] == expected.is_anomalous
        assert {result["threshold"] for result in way} == {expected.threshold}
    np.testing.assert_array_equal([result["p_value"] for result in alone], expected.p_value)


def test_the_answer_names_the_bundle_that_gave_it(real: Real) -> None:
    for model, detector in real.detectors.items():
        answer = real.score(model, drawings("PNG")["0"]).json()
        assert (answer["model"], answer["version"], answer["digest"]) == (model, 1, detector.bundle.digest)
        assert list(answer["terms"]) == list(detector.bundle.manifest.terms)
        (version,) = real.client.get(f"/models/{model}").json()["versions"]
        assert (version["card"], version["digest"]) == (detector.bundle.card, detector.bundle.digest)


def test_a_heatmap_of_a_real_bundle_has_the_original_size(real: Real) -> None:
    answer = real.client.post("/score?model=bigan&heatmap=true", files={"file": drawings("PNG")["3"]}).json()
    assert answer["heatmap"]
    assert answer["reconstruction"]


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, str]]:
    """Contents and expected outcome of every bad file that can be sent at all."""
    folder: Path = tmp_path_factory.mktemp("bad")
    files = {}
    for name, outcome in make_bad_files(folder).items():
        try:
            files[name] = ((folder / name).read_bytes(), outcome)
        except OSError:
            continue
    assert len(files) > 60
    return files


def test_every_bad_file_gets_its_reason_and_every_awkward_one_its_score(
    real: Real, bad_files: dict[str, tuple[bytes, str]]
) -> None:
    for name, (data, outcome) in bad_files.items():
        answer = real.score("bigan", data, name)
        if outcome == "ok":
            assert answer.status_code == 200, name
        else:
            assert answer.status_code in (413, 415, 422), name
            assert name in answer.json()["error"]["message"]


def test_bad_files_in_a_batch_do_not_harm_their_neighbours(real: Real, bad_files: dict[str, tuple[bytes, str]]) -> None:
    good = drawings("PNG")["0"]
    expected = real.score("bigan", good).json()["score"]
    mixed = {
        name: data for bad, (content, _) in bad_files.items() for name, data in ((bad, content), (f"good {bad}", good))
    }
    results = {result["filename"]: result for result in real.batch("bigan", mixed)}
    for name, (_, outcome) in bad_files.items():
        assert ("score" in results[name]) == (outcome == "ok"), name
        assert results[f"good {name}"]["score"] == pytest.approx(expected, rel=1e-5, abs=1e-5)
