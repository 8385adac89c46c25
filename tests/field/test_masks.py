"""Masks as people have them: each name, place and coding gives the mask that was drawn, or is refused by name."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomaly.data import LeftOut, Why, describe, open_dataset
from anomaly.errors import DataError
from anomaly.pipeline.pixel_figures import read_masks
from anomaly.report import report
from tests.cli.calls import call, done, read_rows, refused
from tests.digit_images import digits, normals, write_images
from tests.field.rows import Row

NAMES, CODINGS = "Names of masks", "Codings of masks"
WIDTH, HEIGHT, NUM_DEFECTS = 32, 24, 4

Defect = NDArray[np.bool_]


def defect(number: int) -> Defect:
    marked = np.zeros((HEIGHT, WIDTH), np.bool_)
    marked[12 - number : 18 - number, 3 + 4 * number : 11 + 4 * number] = True
    return marked


def plain(marked: Defect) -> Image.Image:
    return Image.fromarray(marked)


def grey(value: int, dtype: type = np.uint8) -> Callable[[Defect], Image.Image]:
    return lambda marked: Image.fromarray((marked * value).astype(dtype))


def class_colours(marked: Defect) -> Image.Image:
    """The upper rows of the defect in a light colour, the lower ones in a darker one."""
    pixels = np.zeros((*marked.shape, 3), np.uint8)
    pixels[marked] = (51, 221, 255)
    pixels[12:][marked[12:]] = (90, 10, 33)
    return Image.fromarray(pixels)


def palette(marked: Defect) -> Image.Image:
    image = Image.frombytes("P", (WIDTH, HEIGHT), marked.astype(np.uint8).tobytes())
    image.putpalette([0, 0, 0, 20, 10, 10])
    return image


def on_transparent(marked: Defect) -> Image.Image:
    pixels = np.full((*marked.shape, 4), 255, np.uint8)
    pixels[~marked] = (255, 255, 255, 0)
    return Image.fromarray(pixels)


def resized(width: int, height: int) -> Callable[[Defect], Image.Image]:
    return lambda marked: plain(marked).resize((width, height), Image.Resampling.NEAREST)


@dataclass(frozen=True)
class Case:
    """Where the masks of picture NUMBER lie and how they are drawn. `said` is the reason why none of them is used."""

    row: Row
    names: tuple[str, ...] = ("{0:03}_mask.png",)
    draw: Callable[[Defect], Image.Image] = plain
    said: str = ""


def named(what: str, *names: str) -> Case:
    return Case(Row(NAMES, what, "found"), names)


def coded(what: str, draw: Callable[[Defect], Image.Image], suffix: str = "png") -> Case:
    return Case(Row(CODINGS, what, "read"), (f"{{0:03}}_mask.{suffix}",), draw)


def not_read(what: str, draw: Callable[[Defect], Image.Image], said: str, suffix: str = "png") -> Case:
    return Case(Row(CODINGS, what, "refused, image by image"), (f"{{0:03}}_mask.{suffix}",), draw, said)


CASES = (
    named("`NAME_mask.png`, as MVTec has them", "{0:03}_mask.png"),
    named("`NAME.png`", "{0:03}.png"),
    named("`NAME.bmp`", "{0:03}.bmp"),
    named("`NAME_mask.PNG`", "{0:03}_mask.PNG"),
    named("`NAME_mask.tif`", "{0:03}_mask.tif"),
    named("`NAME_gt.png`", "{0:03}_gt.png"),
    named("`NAME_label.bmp`", "{0:03}_label.bmp"),
    named("`NAME-mask.png`", "{0:03}-mask.png"),
    named("`mask_NAME.png`", "mask_{0:03}.png"),
    named("`NAME.png.png`", "{0:03}.png.png"),
    named("`NAME/000.png`, as LOCO has them", "{0:03}/000.png"),
    named("`NAME/000.png` and `NAME/001.png`, united", "{0:03}/000.png", "{0:03}/001.png"),
    named("`NAME_mask_0.png` and `NAME_mask_1.png`, united", "{0:03}_mask_0.png", "{0:03}_mask_1.png"),
    coded("1 bit", plain),
    coded("8 bits, 0 and 255", grey(255)),
    coded("8 bits, 0 and 1", grey(1)),
    coded("16 bits, 0 and 1", grey(1, np.uint16)),
    coded("16 bits, 0 and 100", grey(100, np.uint16)),
    coded("16-bit TIFF, 0 and 65535", grey(65535, np.uint16), "tif"),
    coded("a colour for each class", class_colours),
    coded("a palette, its colours dark", palette),
    coded("drawn on a transparent ground", on_transparent),
    coded("JPEG, 0 and 255", grey(255), "jpg"),
    not_read("stretched to a square", resized(HEIGHT, HEIGHT), "this mask is 24 × 24 pixels, and its image is 32 × 24"),
    not_read("of double size", resized(2 * WIDTH, 2 * HEIGHT), "this mask is 64 × 48 pixels"),
    not_read("cropped", lambda m: plain(m).crop((0, 0, 20, HEIGHT)), "this mask is 20 × 24 pixels"),
    not_read("empty, of a defect", grey(0), "marks no pixel as a defect"),
    not_read("colours on white", lambda m: Image.fromarray(np.where(m[..., None], [250, 50, 83], 255).astype(np.uint8)),
             "no pixel of this mask is black"),
    not_read("JPEG, 0 and 100", grey(100), "its format blurs", "jpg"),
    not_read("a photograph", lambda m: Image.fromarray(np.random.default_rng(0).integers(0, 256, m.shape, np.uint8)),
             "as a picture or a soft map has"),
)  # fmt: skip

OTHER_ROWS = (
    Row(NAMES, "any other name, of all masks", "refused"),
    Row(NAMES, "two files for one image, such as `NAME_mask.png` and `NAME_gt.png`", "refused"),
    Row(NAMES, "some of the defects have none", "the others are measured, and counted"),
    Row(CODINGS, "all masks inverted: white with a black defect", "refused"),
)

ROWS: tuple[Row, ...] = (*(case.row for case in CASES), *OTHER_ROWS)


def save_images(root: Path) -> Path:
    """An MVTec tree without masks, of pictures that need not be looked at."""
    blank = np.zeros((HEIGHT, WIDTH), np.uint8)
    for place in ("train/good", "test/good"):
        write_images(root / place, [blank] * 3)
    for number in range(NUM_DEFECTS):
        path = root / "test" / "cut" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blank).save(path)
    return root


def save_masks(root: Path, names: tuple[str, ...], draw: Callable[[Defect], Image.Image]) -> Path:
    """Each defect's columns are divided among the files that it has."""
    for number in range(NUM_DEFECTS):
        for part, name in enumerate(names):
            path = root / "ground_truth" / "cut" / name.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            mine = np.arange(WIDTH) // 2 % len(names) == part
            draw(defect(number) & mine).save(path)
    return root


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row.what)
def test_every_mask_is_found_and_read_or_refused_by_its_name(tmp_path: Path, case: Case) -> None:
    root = save_masks(save_images(tmp_path), case.names, case.draw)
    samples = open_dataset(str(root)).test()
    read = read_masks(samples)
    assert read is not None
    assert read.without == ()
    defects = [place for place, sample in enumerate(samples) if sample.label == "anomalous"]
    if case.said:
        assert list(read.failures) == defects
        for place in defects:
            assert str(samples[place].masks[0]) in read.failures[place]
            assert case.said in read.failures[place]
    else:
        assert read.failures == {}
        for number, place in enumerate(defects):
            np.testing.assert_array_equal(read.masks[place], defect(number))
    assert all(not read.masks[place].any() for place in range(len(samples)) if place not in defects)


def test_masks_of_another_name_are_refused_with_the_names_seen(tmp_path: Path) -> None:
    root = save_masks(save_images(tmp_path), ("defect-{0}.png",), plain)
    with pytest.raises(DataError, match=r"none of the 4 masks belongs .*cut/defect-0\.png, .* NAME_mask"):
        open_dataset(str(root))


def test_two_masks_of_one_image_are_refused(tmp_path: Path) -> None:
    root = save_masks(save_images(tmp_path), ("{0:03}_mask.png", "{0:03}_gt.png"), plain)
    with pytest.raises(DataError, match=r"000\.png: several files can be its mask"):
        open_dataset(str(root))


def test_masks_of_no_image_are_counted_and_said(tmp_path: Path) -> None:
    root = save_masks(save_images(tmp_path), ("{0:03}_mask.png",), plain)
    plain(defect(0)).save(root / "ground_truth" / "cut" / "099_mask.png")
    data = open_dataset(str(root))
    assert data.left_out == (LeftOut(f"{root}/ground_truth/cut/099_mask.png", Why.MASK),)
    assert describe(data)[-1].startswith("left out: 1 mask that is not in use, such as ")


def test_inverted_masks_are_refused(tmp_path: Path) -> None:
    root = save_masks(save_images(tmp_path), ("{0:03}_mask.png",), lambda marked: plain(~marked))
    with pytest.raises(DataError, match=r"all 4 masks .*cut/000_mask\.png; expected 0 \(black\) on the background"):
        read_masks(open_dataset(str(root)).test())


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """20 goods and 20 defects of digits, each defect with its mask; reports leave pictures and page away."""
    monkeypatch.setattr(report, "roc_png", lambda *_: bytes(33))
    monkeypatch.setattr(report, "render_page", lambda *_: "")
    root = tmp_path / "tree"
    write_images(root / "train" / "good", digits("train", "0")[:30])
    write_images(root / "test" / "good", normals()[:20])
    spots = normals()[:20].copy()
    spots[:, 1:5, :3] = 255
    write_images(root / "test" / "spot", spots)
    write_images(root / "ground_truth" / "spot", [spot()] * 20)
    return root


def spot() -> NDArray[np.uint8]:
    mask = np.zeros((8, 8), np.uint8)
    mask[1:5, :3] = 255
    return mask


def metrics_in(folder: Path) -> dict[str, object]:
    metrics: dict[str, object] = json.loads((folder / "metrics.json").read_text())
    return metrics


def test_figures_are_the_same_whatever_the_coding(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    done("evaluate", bigan_dir, tree, "--out", tmp_path / "a", "--device", "cpu")
    for number, path in enumerate(sorted((tree / "ground_truth" / "spot").iterdir())):
        path.unlink()
        Image.fromarray(spot() // 255).save(path.with_name(f"{number:04}_GT.BMP"))
    done("evaluate", bigan_dir, tree, "--out", tmp_path / "b", "--device", "cpu")
    assert metrics_in(tmp_path / "a") == metrics_in(tmp_path / "b")


def test_one_bad_mask_costs_its_own_row(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    """And the figures are those of the defects that are left, with their number."""
    masks = sorted((tree / "ground_truth" / "spot").iterdir())
    masks[3].unlink()
    masks[5].unlink()
    done("evaluate", bigan_dir, tree, "--out", tmp_path / "a", "--device", "cpu")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(masks[5])
    result = call("evaluate", bigan_dir, tree, "--out", tmp_path / "b", "--device", "cpu")
    assert result.exit_code == 1
    assert "the masks of 1 image cannot be used:" in result.stderr
    assert "over 18 of 20 anomalous images and 20 normal ones: 1 has no mask and the masks of 1" in result.stdout
    before, after = metrics_in(tmp_path / "a"), metrics_in(tmp_path / "b")
    assert (before["num_without_mask"], before["num_masks_failed"]) == (2, 0)
    assert (after["num_without_mask"], after["num_masks_failed"]) == (1, 1)
    assert (after["num_pixel_normal"], after["num_pixel_anomalous"], after["num_anomalous"]) == (20, 18, 20)
    for name in ("auroc", "pixel_auroc", "aupro"):
        assert before[name] == after[name]
    failures = {row["path"]: row["mask_error"] for row in read_rows(tmp_path / "b" / "scores.csv") if row["mask_error"]}
    image = str(tree / "test" / "spot" / masks[5].name)
    assert failures.keys() == {image}
    assert failures[image] in result.stderr.splitlines()
    assert after["mask_failures"] == [{"path": image, "error": failures[image]}]
    assert failures[image].startswith(f"{masks[5]}: this mask is 9 × 9 pixels, and its image is 8 × 8")


def test_one_inverted_mask_among_others_is_named(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    path = tree / "ground_truth" / "spot" / "0007.png"
    Image.fromarray(255 - spot()).save(path)
    result = done("evaluate", bigan_dir, tree, "--out", tmp_path / "a", "--device", "cpu")
    assert f"A mask may be inverted: {path} marks most" in result.stdout.replace("\n", " ")
    assert metrics_in(tmp_path / "a")["masks_perhaps_inverted"] == [str(path)]


def read_drawn(root: Path, drawn: list[NDArray[np.uint8]]) -> tuple[int, ...]:
    """The places of those that seem to be inverted."""
    write_images(root / "test" / "good", [np.zeros((40, 40), np.uint8)])
    write_images(root / "test" / "spot", [np.full_like(mask, number) for number, mask in enumerate(drawn)])
    write_images(root / "ground_truth" / "spot", drawn)
    samples = open_dataset(str(root)).test()
    read = read_masks(samples)
    assert read is not None
    first = min(row for row, sample in enumerate(samples) if sample.label == "anomalous")
    return tuple(row - first for row in read.inverted)


def block(rows: slice, columns: slice) -> NDArray[np.uint8]:
    mask = np.zeros((40, 40), np.uint8)
    mask[rows, columns] = 255
    return mask


SMALL = block(slice(10, 18), slice(0, 8))
LARGE = block(slice(0, 40), slice(0, 39))
HOLE = 255 - block(slice(5, 35), slice(5, 30))


@pytest.mark.parametrize(
    ("drawn", "found"),
    [
        ([SMALL, SMALL, 255 - SMALL, SMALL], (2,)),
        ([*[SMALL] * 20, 255 - SMALL, 255 - SMALL], (20, 21)),
        ([SMALL, SMALL, 255 - SMALL], ()),  # too few others
        ([*[SMALL] * 9, 255 - SMALL, 255 - SMALL], (9, 10)),
        ([*[255 - SMALL] * 5, *[SMALL] * 3], (0, 1, 2, 3, 4)),  # most of them, as of a kind drawn in another program
        ([SMALL, SMALL, SMALL, LARGE], ()),  # two corners are free
        ([SMALL, SMALL, SMALL, HOLE], ()),  # what it leaves out is not like the others
        ([*[block(slice(0, 30), slice(0, 30))] * 5, 255 - SMALL], ()),  # the others are large, too
        ([SMALL] * 4, ()),
    ],
)
def test_large_defects_are_not_taken_for_inverted_masks(
    tmp_path: Path, drawn: list[NDArray[np.uint8]], found: tuple[int, ...]
) -> None:
    assert read_drawn(tmp_path, drawn) == found


def test_inverted_masks_end_an_evaluation(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    inner = np.full((8, 8), 255, np.uint8)
    inner[2:5, 2:5] = 0
    write_images(tree / "ground_truth" / "spot", [inner] * 20)
    assert "invert the masks" in refused("evaluate", bigan_dir, tree, "--out", tmp_path / "a", "--device", "cpu")
