"""Data sets as the program takes them: CSV manifests for magnetic tiles and ELPV, and CIFAR-10 unpacked.

    python -m benchmarks.manifests magnetic-tile        --data DATA_DIR/magnetic-tile --out FOLDER
    python -m benchmarks.manifests magnetic-tile-apart  --data DATA_DIR/magnetic-tile --out FOLDER
    python -m benchmarks.manifests elpv-mono            --data DATA_DIR/elpv-mono     --out FOLDER
    python -m benchmarks.manifests cifar10              --data DATA_DIR/cifar10       --out FOLDER

DATA_DIR itself does as well. A fifth of the normal images, drawn by `--seed`, is the test split's; all defects are.

- magnetic-tile: `MT_Free` is normal; each defect has its mask. Most tiles were photographed in six lights, so that of
  nearly every test normal, and of no defect, the same tile is among the training images.
- magnetic-tile-apart: the same, but whole tiles are drawn: none is in training and test. Pictures whose running numbers
  follow each other within 150 are of one tile, which the column `group` names for the normals.
- elpv-mono: defect probability 0 is normal, 1 is anomalous, and what lies between is left out.
- cifar10: its archive has `train/` and `test/` with a folder per class, which is a form that needs no manifest.
"""

import argparse
import csv
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

_TEST_SHARE = 0.2
_SAME_TILE = 150  # running numbers; there are few gaps from 100 to 300
_TILE_DEFECTS = ("MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven")

Row = tuple[Path | str, str, str, Path | str]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and prints what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layout", choices=sorted(_WRITERS), help="which data set")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set, or of all of them")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into; made if missing")
    parser.add_argument("--seed", type=int, default=0, help="draws the normal images of the test split")
    options = parser.parse_args(arguments)
    data = options.data.resolve()
    folder = data / options.layout.removesuffix("-apart")
    data = folder if folder.is_dir() else data
    if not data.is_dir():
        parser.error(f"{options.data} is not a folder; give the one with the data set {options.layout}")
    options.out.mkdir(parents=True, exist_ok=True)
    print(_WRITERS[options.layout](data, options.out, options.seed))


def write_magnetic_tile(data: Path, out: Path, seed: int) -> Path:
    """Writes `magnetic-tile.csv` with a mask for every defect."""
    pictures = [[picture] for picture in _free_tiles(data)]
    return _write(_normal_rows(pictures, seed) + _defect_rows(data), out / "magnetic-tile.csv")


def write_magnetic_tile_apart(data: Path, out: Path, seed: int) -> Path:
    """Writes `magnetic-tile-apart.csv`, in which a tile is in one split with all its pictures."""
    tiles: list[list[Path]] = []
    for picture in sorted(_free_tiles(data), key=_running_number):
        if not tiles or _running_number(picture) - _running_number(tiles[-1][-1]) > _SAME_TILE:
            tiles.append([])
        tiles[-1].append(picture)
    tile_of = {picture: f"tile-{index:03d}" for index, pictures in enumerate(tiles) for picture in pictures}
    rows = _normal_rows(tiles, seed) + _defect_rows(data)
    groups = [tile_of.get(row[0], "") if isinstance(row[0], Path) else "" for row in rows]
    return _write(rows, out / "magnetic-tile-apart.csv", groups)


def _free_tiles(data: Path) -> list[Path]:
    return sorted((data / "MT_Free" / "Imgs").glob("*.jpg"))


def _running_number(picture: Path) -> int:
    """743 of exp0_num_743.jpg."""
    return int(picture.stem.rpartition("_")[2])


def _defect_rows(data: Path) -> list[Row]:
    defects = [image for kind in _TILE_DEFECTS for image in sorted((data / kind / "Imgs").glob("*.jpg"))]
    return [(image, "anomalous", "test", image.with_suffix(".png")) for image in defects]


def write_elpv_mono(data: Path, out: Path, seed: int) -> Path:
    """Writes `elpv-mono.csv`."""
    with (data / "labels.csv").open(newline="") as file:
        probability_of = {data / row["image"]: float(row["defect_probability"]) for row in csv.DictReader(file)}
    normals = sorted(image for image, probability in probability_of.items() if probability == 0)
    rows = _normal_rows([[image] for image in normals], seed)
    rows += [(image, "anomalous", "test", "") for image, probability in probability_of.items() if probability == 1]
    return _write(rows, out / "elpv-mono.csv")


def unpack_cifar10(data: Path, out: Path, seed: int) -> Path:
    """Unpacks the archive, of which nothing can land outside of `out`; its split is the published one."""
    with tarfile.open(data / "cifar10-jpg.tar.xz") as archive:
        archive.extractall(out, filter="data")
    return out


def _normal_rows(things: Sequence[Sequence[Path]], seed: int) -> list[Row]:
    """Each thing, with all pictures of it, is in one split."""
    drawn = np.random.default_rng(seed).permutation(len(things))
    test = set(drawn[: round(len(things) * _TEST_SHARE)].tolist())
    return [
        (picture, "normal", "test" if index in test else "train", "")
        for index, pictures in enumerate(things)
        for picture in pictures
    ]


def _write(rows: Sequence[Row], path: Path, groups: Sequence[str] = ()) -> Path:
    """`groups`: the part that each picture shows, where that is known of some."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", "split", "mask", *(["group"] if groups else [])])
        writer.writerows([(*row, group) for row, group in zip(rows, groups, strict=True)] if groups else rows)
    return path


_WRITERS: dict[str, Callable[[Path, Path, int], Path]] = {
    "cifar10": unpack_cifar10,
    "elpv-mono": write_elpv_mono,
    "magnetic-tile": write_magnetic_tile,
    "magnetic-tile-apart": write_magnetic_tile_apart,
}

if __name__ == "__main__":
    main()
