"""The model that stands alone gives what the detector gives, whatever makes the score, for any number of images."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from anomaly.bundle import Bundle
from anomaly.calibration import Calibration
from anomaly.errors import UsageError
from anomaly.inference import Detector, load_detector
from anomaly.inference.onnx_export import OUTPUTS, deployed_onnx
from anomaly.scoring import combine
from tests.digit_images import normals, others

onnxruntime: Any = pytest.importorskip("onnxruntime")
PIXELS = np.concatenate([normals(), others()[:2]])[:, None]  # 37
Outputs = dict[str, Any]


class Deployed:
    """The exported model, and the detector that it must agree with."""

    def __init__(self, detector: Detector, bundle: Bundle) -> None:
        self.detector = detector
        self.bundle = bundle
        self.model = deployed_onnx(bundle)
        self.session = onnxruntime.InferenceSession(self.model, providers=["CPUExecutionProvider"])

    def run(self, pixels: NDArray[np.uint8], alpha: float = 0.05) -> Outputs:
        values = self.session.run(list(OUTPUTS), {"pixels": pixels, "alpha": np.array(alpha)})
        return dict(zip(OUTPUTS, values, strict=True))


def with_score(bundle: Bundle, way: Literal["mahalanobis", "auxiliary", "paper"]) -> Bundle:
    """The same networks, whose terms are combined in another way."""
    manifest = bundle.manifest
    score = manifest.recipe.score.model_copy(update={"combine": way})
    recipe = manifest.recipe.model_copy(update={"score": score})
    return replace(bundle, contents=replace(bundle.contents, manifest=manifest.model_copy(update={"recipe": recipe})))


@pytest.fixture(scope="module")
def deployed(bigan_dir: Path) -> Deployed:
    detector = load_detector(bigan_dir, device="cpu")
    return Deployed(detector, detector.bundle)


@pytest.mark.parametrize("n", [1, 2, 37])
def test_evidence_is_the_detector_s_for_any_number_of_images(deployed: Deployed, n: int) -> None:
    found, evidence = deployed.run(PIXELS[:n]), deployed.detector.evidence(PIXELS[:n])
    heatmap = deployed.detector.explain(PIXELS[:n], evidence.z_hat).heatmap
    terms = np.stack(list(evidence.terms.values()), axis=1)
    np.testing.assert_allclose(found["score"], evidence.score, rtol=1e-4)
    np.testing.assert_allclose(found["terms"], terms, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["heatmap"], heatmap, rtol=1e-4, atol=1e-5)
    assert {name: (found[name].dtype, found[name].shape) for name in OUTPUTS} == {
        "score": (np.float64, (n,)),
        "p_value": (np.float64, (n,)),
        "threshold": (np.float64, ()),
        "is_anomalous": (np.bool_, (n,)),
        "terms": (np.float64, (n, len(evidence.terms))),
        "heatmap": (np.float32, (n, 8, 8)),
    }


def alphas(calibration: Calibration) -> list[float]:
    """Ordinary ones, the levels that ranks have, those just below, and one that is too small."""
    num_ranks = calibration.num_calibration + 1
    levels = [k / num_ranks for k in (1, 2, num_ranks // 3, num_ranks - 1)]
    below = [float(np.nextafter(level, 0)) for level in levels]
    return [0.05, 0.1, 1 / 3, 0.5, 0.999, *levels, *below, 0.5 / num_ranks]


def test_decisions_are_the_calibration_s_of_the_same_scores(deployed: Deployed) -> None:
    calibration = deployed.detector.calibration
    for alpha in alphas(calibration):
        found = deployed.run(PIXELS, alpha)
        judged = [calibration.judge(score, alpha) for score in found["score"].tolist()]
        threshold = calibration.threshold(alpha)
        np.testing.assert_array_equal(found["p_value"], [verdict.p_value for verdict in judged])
        np.testing.assert_array_equal(found["threshold"], np.nan if threshold is None else threshold)
        assert found["is_anomalous"].tolist() == [verdict.is_anomalous is True for verdict in judged]


def test_a_tie_with_a_calibration_score_counts_as_below_it(deployed: Deployed) -> None:
    """An image whose score is the highest of the calibration has p = 2 / (n + 1), and is not above that threshold."""
    score = float(deployed.run(PIXELS[-1:])["score"][0])
    contents = deployed.bundle.contents
    tied = replace(deployed.bundle, contents=replace(contents, calibration=Calibration.fit(np.array([0.0, score]))))
    found = Deployed(deployed.detector, tied).run(PIXELS[-1:], 1 / 3)
    assert (found["p_value"].tolist(), found["is_anomalous"].tolist()) == ([2 / 3], [False])
    assert float(found["threshold"]) == score


@pytest.mark.parametrize("way", ["auxiliary", "paper"])
def test_other_ways_to_combine_terms(patched_dir: Path, way: Literal["auxiliary", "paper"]) -> None:
    detector = load_detector(patched_dir, device="cpu")
    bundle = with_score(detector.bundle, way)
    found, evidence = Deployed(detector, bundle).run(PIXELS), detector.evidence(PIXELS)
    expected = combine(evidence.terms, bundle.contents.statistics, bundle.manifest.recipe)
    np.testing.assert_allclose(found["score"], expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(expected, evidence.score, rtol=1e-2)


def test_it_says_what_its_terms_are_and_nothing_of_this_machine(deployed: Deployed) -> None:
    told: dict[str, Any] = deployed.session.get_modelmeta().custom_metadata_map
    assert told == {"terms": ",".join(deployed.bundle.manifest.terms)}
    assert b'File "' not in deployed.model
    assert str(Path(__file__).parents[2]).encode() not in deployed.model


def test_a_search_is_refused_with_the_way_out(anogan_dir: Path) -> None:
    bundle = load_detector(anogan_dir, device="cpu").bundle
    with pytest.raises(UsageError, match=r"by search.*training\.method=bigan.*search\.steps=0"):
        deployed_onnx(bundle)


def test_a_faster_precision_is_refused_with_the_way_out(bf16_dir: Path) -> None:
    with pytest.raises(UsageError, match=r"scores in bf16.*score\.precision=fp32"):
        deployed_onnx(load_detector(bf16_dir, device="cpu").bundle)
