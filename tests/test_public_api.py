"""What `import anomaly` offers, used as the documentation shows it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import anomaly
from anomaly import errors, inference
from anomaly.bundle import load
from anomaly.errors import UsageError
from anomaly.export.folder import export_bundle
from anomaly.export.runtimes import Runtime
from anomaly.pipeline.evaluate import evaluate_bundle
from anomaly.pipeline.inspect import inspect_bundle
from anomaly.pipeline.score import score_paths
from anomaly.pipeline.upgrade import upgrade_bundle
from tests.digit_images import normals, others, write_images

pytestmark = pytest.mark.long

MORE = (
    "detector.score(picture for picture in [pixels[0, 0]])",
    "detector.score([Path('a.png').read_bytes(), 'b.png', Path('c.png'), pixels[0, 0]])",
    "detector.score(pixels)",
    "detector.score(pixels.astype(np.float32))",
)


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


def test_where_paths_are_expected_texts_will_do(bigan_dir: Path, tmp_path: Path) -> None:
    model = str(bigan_dir)
    (image,) = map(str, write_images(tmp_path / "in", normals()[:1]))
    written = {name: str(tmp_path / name) for name in ("rows.csv", "maps", "report", "inspected", "exported")}
    score_paths(model, [image], written["rows.csv"], heatmaps=written["maps"])
    evaluate_bundle(model, "digits", written["report"], normal=("0",))
    inspect_bundle(model, None, written["inspected"])
    export_bundle(model, written["exported"], Runtime.ONNX)
    assert [name for name, path in written.items() if not Path(path).exists()] == []
    assert load(model).ref.path == bigan_dir / "1"
    with pytest.raises(UsageError, match="today's"):
        upgrade_bundle(model)


def test_importing_the_package_does_not_import_torch() -> None:
    program = "import sys, anomaly; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("module", ["anomaly.data", "anomaly.pipeline.score"])
def test_to_read_images_waits_for_nothing_that_reads_masks_or_trains(module: str) -> None:
    program = f"import sys, {module}; sys.exit(bool({{'torch', 'scipy', 'sklearn'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_programs_that_use_the_package_have_its_types(tmp_path: Path) -> None:
    """What the guide shows passes the strictest check of types; without `py.typed` an installed package has none."""
    root = Path(__file__).parents[1]
    section = (root / "docs" / "guide.md").read_text("utf-8").partition("\n## Python\n")[2].partition("\n## ")[0]
    shown = re.findall(r"^```python\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)
    program = tmp_path / "program.py"
    program.write_text("\n".join([*shown, *MORE]), "utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program)], cwd=root, capture_output=True, text=True, check=False
    )
    assert len(shown) >= 4
    assert checked.returncode == 0, checked.stdout
    assert (root / "anomaly" / "py.typed").is_file()
