"""What `import anomaly` offers, used as the documentation shows it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import anomaly
from anomaly import errors, inference
from tests.digit_images import normals, others, write_images


def test_the_public_names_are_pinned() -> None:
    assert anomaly.__all__ == ["AnomalyError", "Detector", "Scores", "load_detector"]
    assert anomaly.AnomalyError is errors.AnomalyError
    assert anomaly.Detector is inference.Detector
    assert anomaly.Scores is inference.Scores
    assert anomaly.load_detector is inference.load_detector


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="'anomaly' has no attribute 'lead_detector'"):
        _ = anomaly.lead_detector


def test_the_three_lines(bigan_dir: Path, tmp_path: Path) -> None:
    images = write_images(tmp_path, np.concatenate([normals()[:3], others()[:3]]))
    detector = anomaly.load_detector(str(bigan_dir), device="auto")
    scores = detector.score(images)
    assert scores.score.shape == scores.p_value.shape == scores.terms["residual"].shape == (6,)
    assert len(scores.is_anomalous) == len(scores.heatmap) == 6
    assert scores.x_hat is not None
    assert scores.x_hat.shape == (6, 1, 8, 8)


def test_one_error_catches_what_a_user_can_mend(tmp_path: Path) -> None:
    with pytest.raises(anomaly.AnomalyError):
        anomaly.load_detector(tmp_path)


def test_importing_the_package_does_not_import_torch() -> None:
    program = "import sys, anomaly; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("module", ["anomaly.data", "anomaly.pipeline.score"])
def test_to_read_images_waits_for_nothing_that_reads_masks_or_trains(module: str) -> None:
    program = f"import sys, {module}; sys.exit(bool({{'torch', 'scipy', 'sklearn'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
