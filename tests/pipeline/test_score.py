"""Scoring as a use case: the counts it returns, the pictures it draws, and what it does only once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anomaly.data import LeftOut, Why
from anomaly.errors import StorageError
from anomaly.inference import load_detector
from anomaly.inference.graph import EvidenceGraph
from anomaly.inference.latents import search_images
from anomaly.pipeline.heatmaps import Drawable, HeatmapFolder
from anomaly.pipeline.score import ScoreSummary, score_paths
from anomaly.report.heat import overlay
from anomaly.report.places import draw_place
from anomaly.scoring import strongest_place
from tests.cli.calls import read_rows
from tests.digit_images import Pixels, normals, others, write_images


def test_the_summary_counts(bigan_dir: Path, tmp_path: Path) -> None:
    images = write_images(tmp_path / "in", np.concatenate([normals()[:5], others()[:5]]))
    (tmp_path / "in" / "x.png").write_text("no image")
    (tmp_path / "in" / "notes.txt").touch()
    totals: list[int] = []
    done: list[None] = []
    summary = score_paths(
        bigan_dir,
        [str(tmp_path / "in")],
        tmp_path / "r.csv",
        alpha=0.2,
        device="cpu",
        on_total=totals.append,
        on_image=lambda: done.append(None),
    )
    num_anomalous = sum(map(bool, load_detector(bigan_dir, device="cpu").score(images, alpha=0.2).is_anomalous))
    notes = LeftOut(str(tmp_path / "in" / "notes.txt"), Why.NO_IMAGE)
    (reason,) = summary.reasons
    assert "x.png" in reason
    expected = ScoreSummary(11, 1, num_anomalous=num_anomalous, left_out=[notes], shortages=[], reasons=(reason,))
    assert summary == expected
    assert totals == [11] == [len(done)]


def test_images_are_searched_once_though_heatmaps_are_drawn(
    anogan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []

    def spy(graph: EvidenceGraph, pixels: Pixels, *arguments: Any) -> object:
        searched.append(len(pixels))
        return search_images(graph, pixels, *arguments)

    monkeypatch.setattr("anomaly.inference.torch_engine.search_images", spy)
    load_detector(anogan_dir, device="cpu")
    assert searched == []  # goldens are scored at their stored latents
    images = [str(path) for path in write_images(tmp_path / "in", normals()[:5])]
    score_paths(anogan_dir, images, tmp_path / "r.csv", heatmaps=tmp_path / "maps", device="cpu")
    assert searched == [5]
    assert len(list((tmp_path / "maps").iterdir())) == 5


def test_a_heatmap_lies_over_its_own_image(bigan_dir: Path, tmp_path: Path) -> None:
    """White images and black ones stay told apart under their heatmaps, in each row's own picture."""
    shades = [0, 255, 255, 0, 255]
    images = write_images(tmp_path / "in", [np.full((16, 16), shade, np.uint8) for shade in shades])
    (tmp_path / "in" / "0001-broken.png").write_text("no image")
    inputs = [str(path) for path in sorted((tmp_path / "in").iterdir())]
    score_paths(bigan_dir, inputs, tmp_path / "r.csv", heatmaps=tmp_path / "maps", device="cpu")
    drawn = sorted((tmp_path / "maps").iterdir())
    assert [path.name.partition("_")[2] for path in drawn] == [path.name for path in images]
    brightness = []
    for path in drawn:
        with Image.open(path) as picture:
            brightness.append(np.asarray(picture.convert("L")).mean())
    assert max(brightness[0], brightness[3]) < min(brightness[1], brightness[2], brightness[4])


def test_what_is_called_anomalous_has_its_strongest_place_boxed(bigan_dir: Path, tmp_path: Path) -> None:
    """The verdict of each row decides on its own picture, whatever stands between them."""
    images = write_images(tmp_path / "in", [*normals()[:4], *others()[:4]])
    (tmp_path / "in" / "0001-broken.png").write_text("no image")
    inputs = [str(path) for path in sorted((tmp_path / "in").iterdir())]
    score_paths(bigan_dir, inputs, tmp_path / "r.csv", alpha=0.2, heatmaps=tmp_path / "maps", device="cpu")
    scores = load_detector(bigan_dir, device="cpu").score(images, alpha=0.2)
    assert set(scores.is_anomalous) == {True, False}
    drawn = sorted((tmp_path / "maps").iterdir())
    for path, image, is_anomalous, heatmap in zip(drawn, images, scores.is_anomalous, scores.heatmap, strict=True):
        with Image.open(image) as original, Image.open(path) as picture:
            expected = overlay(np.asarray(original.convert("RGB")), heatmap)
            if is_anomalous and (place := strongest_place(heatmap)):
                expected = draw_place(expected, place)
            np.testing.assert_array_equal(np.asarray(picture), expected)


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def enlarge(path: Path) -> None:
    Image.new("L", (30, 40)).save(path)


@pytest.mark.parametrize("change", [remove, enlarge])
def test_an_image_that_changes_while_heatmaps_are_drawn_keeps_its_row(
    change: Callable[[Path], None], bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_images(tmp_path / "in", normals()[:3])
    draw = HeatmapFolder.draw

    def change_second(folder: HeatmapFolder, image: Drawable, *heat: Any) -> str | None:
        change(images[1])
        return draw(folder, image, *heat)

    monkeypatch.setattr(HeatmapFolder, "draw", change_second)
    summary = score_paths(
        bigan_dir, [str(path) for path in images], tmp_path / "r.csv", heatmaps=tmp_path / "maps", device="cpu"
    )
    assert summary.num_failed == 0
    rows = read_rows(tmp_path / "r.csv")
    assert all(row["score"] for row in rows)
    assert [row["heatmap"] for row in rows] == ["000000_0000.png", "", "000002_0002.png"]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["000000_0000.png", "000002_0002.png"]


def test_a_failure_half_way_leaves_the_old_results(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    old = "path,score,p_value,is_anomalous,threshold,error\nold.png,1,1,false,2,\n"
    (tmp_path / "r.csv").write_text(old)
    images = [str(path) for path in write_images(tmp_path / "in", normals()[:3])]
    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(StorageError, match="No space"):
        score_paths(bigan_dir, images, tmp_path / "r.csv", heatmaps=tmp_path / "maps", device="cpu")
    assert (tmp_path / "r.csv").read_text() == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "r.csv"]


def test_a_heatmap_that_finds_no_room_leaves_the_earlier_one_whole(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [str(path) for path in write_images(tmp_path / "in", normals()[:2])]
    drawn = tmp_path / "maps"
    score_paths(bigan_dir, images[:1], tmp_path / "r.csv", heatmaps=drawn, device="cpu")
    earlier = {path.name: path.read_bytes() for path in drawn.iterdir()}
    write_bytes = Path.write_bytes

    def write_half(path: Path, data: bytes) -> None:
        write_bytes(path, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    for inputs in (images, images[::-1]):
        with pytest.raises(StorageError, match="cannot write heatmaps into"):
            score_paths(bigan_dir, inputs, tmp_path / "r.csv", heatmaps=drawn, device="cpu")
        assert {path.name: path.read_bytes() for path in drawn.iterdir()} == earlier
