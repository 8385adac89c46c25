"""What `inspect` draws is what the networks make, of the images it says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anomaly.bundle import load, save
from anomaly.config import Method, Prior
from anomaly.data import mark, to_pixels
from anomaly.errors import DataError, UsageError
from anomaly.inference import Detector
from anomaly.pipeline import inspect
from anomaly.pipeline.inspect import inspect_bundle
from anomaly.pipeline.train import TrainOptions, train_bundle
from anomaly.report import curves, detectability, inspection
from anomaly.report.curves import curves_png
from anomaly.report.sheets import MIN_SIDE, Sheet, to_tiles
from tests.bundle.records import make_record
from tests.digit_images import digits, normals, others, write_images
from tests.inference.engines import by_torch, engine_of

NAMES = ["samples.png", "walk.png", "reconstructions.png", "curves.png"]


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> list[Sheet]:
    """The sheets of the next call, in order; the curves are left empty, which take most of the time."""
    found: list[Sheet] = []
    draw = Sheet.png

    def remember(sheet: Sheet) -> bytes:
        found.append(sheet)
        return draw(sheet)

    monkeypatch.setattr(Sheet, "png", remember)
    monkeypatch.setattr(curves, "curves_png", lambda *_, **__: b"")
    return found


def made(detector: Detector, z: torch.Tensor) -> np.ndarray:
    """G(z) as tiles."""
    return to_tiles(to_pixels(engine_of(detector).generate(z.numpy())))


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def tile(path: Path, sheet: Sheet, row: int, column: int) -> np.ndarray:
    """A tile as it stands in the file, at its own size."""
    x, y = sheet.corner(row, column)
    return picture(path)[y : y + sheet.height : sheet.times, x : x + sheet.width : sheet.times]


def test_walks_end_at_g_of_their_latents(bigan_dir: Path, tmp_path: Path, sheets: list[Sheet]) -> None:
    inspect_bundle(bigan_dir, None, tmp_path, device="cpu")
    detector, walk = by_torch(bigan_dir), sheets[1]
    z = inspection.walk_latents(detector)
    assert not torch.equal(z[:, 0], z[:, -1])
    for column in (0, inspection.WALK_STEPS - 1):
        ends = made(detector, z[:, column])
        for row, end in enumerate(ends):
            assert np.abs(tile(tmp_path / "walk.png", walk, row, column).astype(int) - end).max() <= 1
    assert walk.tiles.shape == (inspection.NUM_WALKS, inspection.WALK_STEPS, 8, 8, 3)


def test_samples_are_g_of_the_priors_draws(bigan_dir: Path, tmp_path: Path, sheets: list[Sheet]) -> None:
    inspect_bundle(bigan_dir, None, tmp_path, device="cpu")
    detector = by_torch(bigan_dir)
    np.testing.assert_array_equal(
        sheets[0].tiles.reshape(100, 8, 8, 3), made(detector, inspection.sample_latents(detector))
    )
    last = tile(tmp_path / "samples.png", sheets[0], 9, 9)
    np.testing.assert_array_equal(last, sheets[0].tiles[9, 9])
    assert picture(tmp_path / "samples.png").shape[1::-1] == sheets[0].shape


def test_pictures_are_the_same_each_time(anogan_dir: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        summary = inspect_bundle(anogan_dir, "digits", tmp_path / name, normal=["0"], device="cpu")
        assert [path.name for path in summary.paths] == NAMES
    for name in NAMES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_without_data_the_goldens_are_reconstructed(bigan_dir: Path, tmp_path: Path, sheets: list[Sheet]) -> None:
    inspect_bundle(bigan_dir, None, tmp_path, device="cpu")
    detector, shown = by_torch(bigan_dir), sheets[2]
    golden = detector.bundle.contents.golden
    np.testing.assert_array_equal(shown.tiles[0], to_tiles(golden.pixels))
    x_hat = detector.explain(golden.pixels, golden.z_hat).x_hat
    assert x_hat is not None
    np.testing.assert_array_equal(shown.tiles[1], to_tiles(to_pixels(x_hat)))
    assert len(shown.tiles) == 3


def test_a_labelled_test_split_is_shown_half_and_half(bigan_dir: Path, tmp_path: Path, sheets: list[Sheet]) -> None:
    summary = inspect_bundle(bigan_dir, "digits", tmp_path, normal=["0"], device="cpu")
    words, half = [word.text for word in sheets[2].above], inspect.NUM_RECONSTRUCTIONS // 2
    assert words[:half] == ["0"] * half
    assert len(words) == 2 * half
    assert "0" not in words[half:]
    assert len(set(words[half:])) == half  # of nine kinds, none is there twice
    assert sheets[2].breaks == (half,)
    assert summary.num_failed == 0


def test_each_kind_is_shown_before_one_is_shown_often(bigan_dir: Path, tmp_path: Path, sheets: list[Sheet]) -> None:
    write_images(tmp_path / "d" / "train" / "good", digits("train", "0")[:3])
    for kind, start, num in (("a", 0, 40), ("b", 40, 1), ("c", 41, 2)):
        write_images(tmp_path / "d" / "test" / kind, others()[start : start + num])
    write_images(tmp_path / "d" / "test" / "good", normals()[:3])
    inspect_bundle(bigan_dir, str(tmp_path / "d"), tmp_path / "out", device="cpu")
    assert [word.text for word in sheets[2].above] == ["good"] * 3 + ["a"] * 3 + ["b"] + ["c"] * 2


def test_line_scans_have_a_row_each_and_are_long(whole_places_dir: Path, tmp_path: Path, sheets: list[Sheet]) -> None:
    for kind, value in (("good", 120), ("spot", 200)):
        folder = tmp_path / "d" / "test" / kind
        folder.mkdir(parents=True)
        for number in range(2):
            scan = np.full((32, 512), 120, np.uint8)
            scan[:, 100 + number :] = value
            Image.fromarray(scan).save(folder / f"{number}.png")
    inspect_bundle(whole_places_dir, str(tmp_path / "d"), tmp_path / "out", device="cpu")
    (sheet,) = sheets
    assert sheet.tiles.shape == (
        4,
        2,
        32,
        512,
        3,
    )  # 16 times as wide as high: not 256 wide, as pictures are that are not
    assert [word.text for word in sheet.above] == ["image x", "heatmap"]
    assert [word.text.split("  ")[0] for word in sheet.left] == ["good"] * 2 + ["spot"] * 2
    assert all("p = " in word.text for word in sheet.left)
    np.testing.assert_array_equal(sheet.tiles[3, 0, :, [100, 101], 0], np.repeat([[120], [200]], 32, axis=1))


def test_tall_pictures_have_a_column_each_and_room_for_words(
    whole_places_dir: Path, tmp_path: Path, sheets: list[Sheet]
) -> None:
    (tmp_path / "good").mkdir()
    for number in range(2):
        Image.new("L", (32, 512), 120 + number).save(tmp_path / "good" / f"{number}.png")
    inspect_bundle(whole_places_dir, str(tmp_path / "good"), tmp_path / "out", device="cpu")
    assert sheets[0].tiles.shape == (2, 2, 512, MIN_SIDE, 3)


def test_data_without_anomalies_shows_its_normals(bigan_dir: Path, tmp_path: Path, sheets: list[Sheet]) -> None:
    write_images(tmp_path / "good", [*digits("train", "0")[:2], *normals()[:2]])
    inspect_bundle(bigan_dir, str(tmp_path / "good"), tmp_path / "out", device="cpu")
    np.testing.assert_array_equal(sheets[2].tiles[0, :2, :, :, 0], digits("train", "0")[:2])
    told = [word.text for word in sheets[2].below]
    assert told[:2] == ["known"] * 2  # they made the model: p would say nothing
    assert all(word.startswith("p = ") for word in told[2:])
    assert sheets[2].breaks == ()


def test_a_broken_image_is_left_out_and_counted(bigan_dir: Path, tmp_path: Path, sheets: list[Sheet]) -> None:
    (path, *_) = write_images(tmp_path / "d" / "test" / "good", normals()[:3])
    write_images(tmp_path / "d" / "test" / "bad", others()[:2])
    write_images(tmp_path / "d" / "train" / "good", digits("train", "0")[:3])
    path.write_text("no image")
    assert inspect_bundle(bigan_dir, str(tmp_path / "d"), tmp_path / "out", device="cpu").num_failed == 1
    assert [word.text for word in sheets[2].above] == ["good"] * 2 + ["bad"] * 2
    assert sheets[2].breaks == (2,)


@pytest.mark.parametrize(
    ("method", "prior", "channels"),
    [(Method.F_ANOGAN, Prior.GAUSSIAN, 1), (Method.AUTOENCODER, Prior.GAUSSIAN, 1), (Method.ALAD, Prior.UNIFORM, 3)],
)
def test_every_method_has_its_columns_drawn(
    method: Method, prior: Prior, channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = train_bundle(
        TrainOptions(
            data="digits",
            out=tmp_path / "m",
            normal=("0",),
            recipe="digits",
            overrides={
                "preprocess": {"size": 8, "channels": channels},
                "network": {"prior": prior, "latent_dim": 2, "width": 4},
                "training": {"method": method, "steps": 12, "batch_size": 16},
            },
            device="cpu",
            command="anomaly train",
        )
    ).bundle
    drawn: list[str] = []
    draw: Callable[..., bytes] = curves_png

    def remember(history: list[dict[str, float]], *, has_optimum: bool) -> bytes:
        drawn.extend({name for row in history for name in row})
        assert has_optimum is (method is not Method.F_ANOGAN)
        return draw(history, has_optimum=has_optimum)

    monkeypatch.setattr(curves, "curves_png", remember)
    inspect_bundle(bundle.ref.path, None, tmp_path / "out", device="cpu")
    assert {name for row in bundle.contents.history for name in row} <= set(drawn)
    for name in NAMES:
        assert min(picture(tmp_path / "out" / name).shape[:2]) > 300, name


def test_how_small_a_defect_is_found_is_drawn_where_it_was_measured(
    bigan_dir: Path, tmp_path: Path, sheets: list[Sheet], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, contents = make_record(), load(bigan_dir).contents
    manifest = contents.manifest.model_copy(update={"detectability": record})
    bundle = save(replace(contents, manifest=manifest), tmp_path / "m")
    monkeypatch.setattr(detectability, "detectability_png", lambda given: b"drawn" if given == record else b"")
    summary = inspect_bundle(bundle.ref.path, None, tmp_path / "out", device="cpu")
    assert [path.name for path in summary.paths] == [*NAMES, "detectability.png"]
    assert (tmp_path / "out" / "detectability.png").read_bytes() == mark(b"drawn")


def test_mistakes_leave_nothing_behind(bigan_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no DATA is given"):
        inspect_bundle(bigan_dir, None, tmp_path / "out", normal=["0"], device="cpu")
    with pytest.raises(DataError, match="does not exist"):
        inspect_bundle(bigan_dir, "nowhere", tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_model_without_g_has_heatmaps_only_and_the_summary_says_why(whole_places_dir: Path, tmp_path: Path) -> None:
    summary = inspect_bundle(whole_places_dir, None, tmp_path / "out", device="cpu")
    assert {"heatmaps.png", "curves.png"} == {path.name for path in summary.paths}
    assert "draws no images" in summary.remarks[0]
