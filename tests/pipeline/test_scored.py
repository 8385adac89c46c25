"""The examples of a report are made one at a time."""

from pathlib import Path

import pytest

from anomaly.data import to_array
from anomaly.evaluation import Evaluation
from anomaly.pipeline import scored
from anomaly.pipeline.evaluate import evaluate_bundle
from anomaly.report import report
from tests.alive import Alive
from tests.digit_images import normals, others, write_images


def test_one_example_is_in_memory_while_the_next_is_made(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "d" / "test" / "good", normals()[:20])
    write_images(tmp_path / "d" / "test" / "bad", others()[:20])
    images = Alive()
    shown: list[tuple[str, str]] = []

    def render(evaluation: Evaluation, _: object) -> str:
        shown.extend((example.group, example.path) for example in evaluation.examples)
        assert shown == [(example.group, example.path) for example in evaluation.examples]  # the same each time
        return ""

    monkeypatch.setattr(scored, "to_array", images.all_of(to_array))
    monkeypatch.setattr(report, "roc_png", lambda *_: bytes(33))
    monkeypatch.setattr(report, "render_page", render)
    evaluate_bundle(bigan_dir, str(tmp_path / "d"), tmp_path / "report", device="cpu")
    assert len(shown) == 24
    assert images.num_added == 48
    assert images.most <= 2
