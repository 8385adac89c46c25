"""The benchmark layouts as data sets."""

import csv
import io
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data import open_dataset
from benchmarks.manifests import main


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(path)


def written(layout: str, data: Path, out: Path, capsys: pytest.CaptureFixture[str], seed: int = 0) -> str:
    main([layout, "--data", str(data), "--out", str(out), "--seed", str(seed)])
    return capsys.readouterr().out.strip()


def test_magnetic_tile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "magnetic-tile"
    for index in range(20):
        write_image(folder / "MT_Free" / "Imgs" / f"{index}.jpg")
        write_image(folder / "MT_Free" / "Imgs" / f"{index}.png")
    for kind in ("MT_Crack", "MT_Fray"):
        write_image(folder / kind / "Imgs" / "a.jpg")
        write_image(folder / kind / "Imgs" / "a.png")
    path = written("magnetic-tile", tmp_path, tmp_path / "out", capsys)
    samples = open_dataset(path).samples
    counts = Counter((sample.label, sample.split) for sample in samples)
    assert counts == {("normal", "train"): 16, ("normal", "test"): 4, ("anomalous", "test"): 2}
    assert all(Path(sample.path).is_absolute() and sample.path.endswith(".jpg") for sample in samples)
    defect, normal = samples[-1].open_mask(), samples[0].open_mask()
    assert defect is not None
    assert normal is not None
    assert defect.all()
    assert not normal.any()


def test_a_tile_is_in_one_split_with_all_its_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for tile in range(10):
        for light in range(1, 7):
            number = 700 * tile + 30 * light
            write_image(tmp_path / "magnetic-tile" / "MT_Free" / "Imgs" / f"exp{light}_num_{number}.jpg")
    manifest = written("magnetic-tile-apart", tmp_path, tmp_path / "out", capsys)
    samples = open_dataset(manifest).samples
    assert Counter(sample.split for sample in samples) == {"train": 48, "test": 12}
    split_of = {(int(Path(sample.path).stem.rpartition("_")[2]) // 700, sample.split) for sample in samples}
    assert len(split_of) == 10
    with Path(manifest).open(newline="") as file:
        group_of = {
            (int(Path(row["path"]).stem.rpartition("_")[2]) // 700, row["group"]) for row in csv.DictReader(file)
        }
    assert len(group_of) == len({group for _, group in group_of}) == 10


def test_the_seed_draws_the_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(20):
        write_image(tmp_path / "MT_Free" / "Imgs" / f"{index}.jpg")
    texts = [
        Path(written("magnetic-tile", tmp_path, tmp_path / str(run), capsys, seed)).read_text()
        for run, seed in enumerate((0, 0, 1))
    ]
    assert texts[0] == texts[1] != texts[2]


def test_elpv_mono_leaves_out_the_middle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"images/{index}.png,{(0.0, 1 / 3, 2 / 3, 1.0)[index % 4]}" for index in range(40)]
    for index in range(40):
        write_image(tmp_path / "images" / f"{index}.png")
    (tmp_path / "labels.csv").write_text("\n".join(["image,defect_probability", *lines]))
    samples = open_dataset(written("elpv-mono", tmp_path, tmp_path / "out", capsys)).samples
    counts = Counter((sample.label, sample.split) for sample in samples)
    assert counts == {("normal", "train"): 8, ("normal", "test"): 2, ("anomalous", "test"): 10}
    assert {int(Path(sample.path).stem) % 4 for sample in samples if sample.label == "normal"} == {0}


def write_archive(path: Path, *names: str) -> None:
    with tarfile.open(path, "w:xz") as archive:
        for name in names:
            buffer = io.BytesIO()
            Image.new("L", (4, 4)).save(buffer, "JPEG")
            entry = tarfile.TarInfo(name)
            entry.size = buffer.tell()
            archive.addfile(entry, io.BytesIO(buffer.getvalue()))


def test_cifar10_is_unpacked_into_a_tree_of_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_archive(
        tmp_path / "cifar10-jpg.tar.xz", *(f"{s}/{c}/0.jpg" for s in ("train", "test") for c in ("cat", "dog"))
    )
    data = open_dataset(written("cifar10", tmp_path, tmp_path / "out", capsys), normal=["cat"])
    assert (data.form, len(data.train_normals()), len(data.test())) == ("classes", 1, 2)


def test_an_archive_cannot_write_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_archive(tmp_path / "cifar10-jpg.tar.xz", "../outside.jpg")
    with pytest.raises(tarfile.OutsideDestinationError):
        written("cifar10", tmp_path, tmp_path / "out", capsys)
    assert not (tmp_path / "outside.jpg").exists()


def test_a_missing_folder_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["cifar10", "--data", str(tmp_path / "missing"), "--out", str(tmp_path)])
    assert "is not a folder" in capsys.readouterr().err
