"""What is not asked for is not computed: x_hat and maps of an image that is only scored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from anomaly.data import PixelsOfImages
from anomaly.inference import Detector
from anomaly.inference.graph import EvidenceGraph
from anomaly.inference.torch_engine import TorchEngine
from tests.digit_images import normals, others
from tests.inference.engines import by_torch

MODELS = ["bigan_dir", "anogan_dir", "patched_dir", "bf16_dir"]


class CountingEngine(TorchEngine):
    """Counts the images that it observes, and those that it explains."""

    num_observed = 0
    num_explained = 0

    def observe(self, pixels: PixelsOfImages) -> Any:
        self.num_observed += len(pixels)
        return super().observe(pixels)

    def explain(self, pixels: PixelsOfImages, z_hat: Any) -> Any:
        self.num_explained += len(pixels)
        return super().explain(pixels, z_hat)


@pytest.fixture(params=MODELS)
def counting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Detector, CountingEngine]:
    folder: Path = request.getfixturevalue(request.param)
    monkeypatch.setattr("anomaly.inference.torch_engine.TorchEngine", CountingEngine)
    detector = by_torch(folder)
    engine = detector.engine
    assert isinstance(engine, CountingEngine)
    engine.num_observed = 0  # the goldens
    return detector, engine


def test_reconstructions_and_heatmaps_are_made_once_and_only_when_asked_for(
    counting: tuple[Detector, CountingEngine],
) -> None:
    detector, engine = counting
    scores = detector.score([*normals()[:5], *others()[:5]])
    assert (engine.num_observed, engine.num_explained) == (10, 0)
    x_hat = scores.x_hat
    assert (engine.num_observed, engine.num_explained) == (10, 10)
    assert x_hat is not None
    assert len(scores.heatmap) == len(x_hat) == 10
    assert scores.heatmap is scores.heatmap
    assert scores.x_hat is x_hat
    assert (engine.num_observed, engine.num_explained) == (10, 10)


def test_an_image_that_is_only_scored_has_no_map(
    counting: tuple[Detector, CountingEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, asked = counting[0], list[bool]()
    forward = EvidenceGraph.forward

    def note(self: EvidenceGraph, x: Any, z: Any = None, *, with_maps: bool = False) -> Any:
        asked.append(with_maps)
        return forward(self, x, z, with_maps=with_maps)

    monkeypatch.setattr(EvidenceGraph, "forward", note)
    evidence = detector.evidence(normals()[:3, None])
    assert set(asked) == {False}
    detector.explain(normals()[:3, None], evidence.z_hat)
    assert asked[-1]
    assert set(vars(evidence)) == {"score", "terms", "z_hat"}


def test_an_explanation_is_of_the_latents_that_were_found(counting: tuple[Detector, CountingEngine]) -> None:
    detector, engine = counting
    scores = detector.score(list(others()[:7]))
    assert scores.z_hat is not None
    explained = detector.explain(others()[:7, None], scores.z_hat)
    assert explained.x_hat is not None
    assert scores.x_hat is not None
    assert_array_equal(explained.x_hat, scores.x_hat)
    assert_array_equal(explained.heatmap, np.stack(scores.heatmap))
    np.testing.assert_allclose(engine.generate(scores.z_hat), scores.x_hat, atol=1e-2)
