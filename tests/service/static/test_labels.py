"""A labelled folder: ROC, its area and the counts, against scikit-learn's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from tests.service.fakes import png
from tests.service.static.desk import drawn, finish, slide, tile

SCORES = {"good": [3, 20, 55, 70, 96, 96, 97, 120], "scratch": [60, 96, 99, 150], "hole": [10, 97, 2000]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An MVTec-style test split, with a mask and a note that are no images to score."""
    root = tmp_path / "test"
    for kind, tags in SCORES.items():
        (root / kind).mkdir(parents=True)
        for i, tag in enumerate(tags):
            (root / kind / f"{i}.png").write_bytes(png(tag))
    (root / "ground_truth" / "hole").mkdir(parents=True)
    (root / "ground_truth" / "hole" / "0.png").write_bytes(png(1))
    (root / "good" / "notes.txt").write_text("not an image")
    (root / "good" / "._0.png").write_bytes(png(2000))
    (root / "@eaDir").mkdir()
    (root / "@eaDir" / "0.png").write_bytes(png(2000))
    return root


UNREADABLE = """() => {
  const refused = (resolve, reject) => reject(new DOMException("no", "NotReadableError"));
  const fileEntry = (fullPath, file) => ({ isFile: true, fullPath, file });
  const folder = (fullPath, readEntries) => ({ isFile: false, fullPath, createReader: () => ({ readEntries }) });
  const transfer = new DataTransfer();
  const [blob] = window.given;
  const children = [
    [
      fileEntry("/all/a.png", (resolve) => resolve(new File([blob], "a.png", { type: "image/png" }))),
      fileEntry("/all/locked.png", refused),
      folder("/all/locked", refused),
    ],
    [],
  ];
  const all = folder("/all", (resolve) => resolve(children.shift()));
  const event = new DragEvent("drop", { bubbles: true, cancelable: true });
  Object.defineProperty(event, "dataTransfer", { value: { items: [{ webkitGetAsEntry: () => all }], files: [] } });
  document.querySelector("#drop").dispatchEvent(event);
}"""


def test_what_cannot_be_read_of_a_folder_costs_itself_alone(page: Page) -> None:
    page.evaluate("(bytes) => { window.given = [new Uint8Array(bytes)]; }", list(png(3)))
    page.evaluate(UNREADABLE)
    finish(page, shown=1)
    expect(tile(page, "all/a.png")).to_contain_text("score 3")
    expect(page.locator("#left-out")).to_have_text("2 files or folders could not be read.")


def test_a_text_that_is_dropped_changes_nothing(page: Page) -> None:
    page.get_by_role("link", name="Drift").click()
    page.evaluate(
        """async () => {
          const transfer = new DataTransfer();
          transfer.setData("text/plain", "a text");
          const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
          document.body.dispatchEvent(new DragEvent("drop", options));
          await new Promise((resolve) => setTimeout(resolve));
        }"""
    )
    drawn(page)
    expect(page.locator("#drift")).to_be_visible()


def test_a_labelled_folder_shows_roc_and_counts_live(page: Page, folder: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 1600})  # with room for all tiles
    page.set_input_files("#folder", folder)
    finish(page, shown=15)
    expect(page.locator("#left-out")).to_have_text(
        "4 files were left out: hidden files, masks, or files that are no images."
    )
    scores = np.concatenate([np.array(tags, float) for tags in SCORES.values()])
    is_anomalous = np.array([kind != "good" for kind, tags in SCORES.items() for _ in tags])
    expect(page.locator("#roc-area")).to_have_text(f"AUROC {100 * roc_auc_score(is_anomalous, scores):.1f} %")
    expect(page.locator("#roc-meaning")).to_contain_text(
        "Of 100 pairs of a normal and an anomalous image here, the anomalous one scores higher in "
    )
    expect(page.locator("#alpha-meaning")).to_contain_text("are called so, on average over models")
    p_values = np.array([(1 + np.sum(np.arange(99) >= score)) / 100 for score in scores])
    for position in range(80, 201, 20):
        slide(page, position)
        drawn(page)
        alpha = float(page.locator("#alpha-value").inner_text().removesuffix(" %")) / 100
        (true_negative, false_positive), (false_negative, true_positive) = confusion_matrix(
            is_anomalous, p_values <= alpha
        )
        expected = [true_positive, false_negative, false_positive, true_negative]
        assert page.locator(".confusion tbody td").all_inner_texts() == [str(count) for count in expected]
    expect(tile(page, "test/hole/1.png")).to_contain_text("labelled anomalous")
    expect(tile(page, "test/good/0.png")).to_contain_text("labelled normal")
    expect(page.locator("#roc-basis")).to_have_text("15 labelled images, scored by m, version 1.")


def roc(page: Page, normal: list[float], anomalous: list[float]) -> Any:
    code = "async ([normal, anomalous]) => (await import('./static/roc.js')).rocOf(normal, anomalous)"
    return page.evaluate(code, [normal, anomalous])


def test_the_curve_is_scikit_learns_with_ties_too(page: Page) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        normal, anomalous = rng.integers(0, 9, rng.integers(1, 30)), rng.integers(3, 12, rng.integers(1, 30))
        scores, labels = np.concatenate([normal, anomalous]), np.r_[np.zeros(len(normal)), np.ones(len(anomalous))]
        found = roc(page, [float(s) for s in normal], [float(s) for s in anomalous])
        assert found["area"] == pytest.approx(roc_auc_score(labels, scores))
        fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
        np.testing.assert_allclose(found["points"], np.column_stack([fpr, tpr]))
    assert roc(page, [1.0], []) is None


def labels(page: Page, *paths: str) -> dict[str, str | None]:
    code = """async (paths) => {
      const { labelled } = await import("./static/intake.js");
      return labelled(paths.map((path) => ({ file: null, path }))).map(({ name, label }) => [name, label]);
    }"""
    return dict(page.evaluate(code, list(paths)))


def test_only_a_folder_good_labels_and_only_what_lies_in_folders(page: Page) -> None:
    assert labels(page, "a.png", "b.txt") == {"a.png": None, "b.txt": None}
    assert labels(page, "x/a.png", "x/b/c.JPG") == {"x/a.png": None, "x/b/c.JPG": None}
    assert labels(page, "good/a.png", "bad/b.tiff", "c.png") == {
        "good/a.png": "normal",
        "bad/b.tiff": "anomalous",
        "c.png": None,
    }
    assert labels(page, "t/good/a.png", "t/ground_truth/hole/a.png", "t/good/Thumbs.db") == {"t/good/a.png": "normal"}
    assert labels(page, ".x/a.png", ".x/.b/a.png", ".x/._a.png", ".x/__MACOSX/a.png") == {".x/a.png": None}


def test_without_both_kinds_there_is_no_curve(page: Page, folder: Path) -> None:
    page.set_input_files("#folder", folder / "good")
    finish(page, shown=8)
    expect(page.locator("#roc")).to_be_hidden()
