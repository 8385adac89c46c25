"""Without the extra `report` nothing is drawn, one sentence says why, and all else works."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from anomaly.errors import UsageError
from anomaly.pipeline.evaluate import evaluate_bundle
from anomaly.pipeline.inspect import inspect_bundle
from anomaly.pipeline.score import score_paths
from anomaly.report import require_report
from tests.digit_images import normals, write_images

LIBRARIES = ("matplotlib", "jinja2")


def test_with_the_extra_nothing_is_said() -> None:
    require_report("a report")


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda model, out: evaluate_bundle(model, "digits", out, normal=["0"]), "an evaluation's report"),
        (lambda model, out: inspect_bundle(model, None, out), "drawing what a model has learnt"),
        (lambda model, out: score_paths(model, ["x.png"], out.with_suffix(".csv"), heatmaps=out), "drawing heatmaps"),
    ],
)
def test_a_missing_library_is_one_sentence_before_any_work(
    library: str, use: Callable[[Path, Path], object], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf"^{what} needs {library}: pip install 'anomaly\[report\]'$"):
        use(tmp_path / "there is no model", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_scoring_imports_no_library_that_draws(bigan_dir: Path, tmp_path: Path) -> None:
    (image,) = write_images(tmp_path, normals()[:1])
    program = f"""
import sys
for library in {LIBRARIES!r}:
    sys.modules[library] = None
import anomaly
from anomaly.cli import app
anomaly.load_detector({str(bigan_dir)!r}).score([{str(image)!r}])
app(["score", {str(bigan_dir)!r}, {str(image)!r}, "--out", {str(tmp_path / "r.csv")!r}])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 row" in done.stdout
