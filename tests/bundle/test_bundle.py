import hashlib
import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anomaly.bundle import Bundle, Contents, check_savable, list_bundles, load, save
from anomaly.bundle import bundle as module
from anomaly.bundle.card import model_card
from anomaly.bundle.layout import CARD, EVIDENCE, HISTORY, MANIFEST, REQUIRED, SUMS, WEIGHTS
from anomaly.errors import BundleNotFoundError, StorageError, UsageError
from anomaly.pipeline.train import TrainOptions, train_bundle

LONG_RUN = [{"step": 1_234_560, "loss_d": 0.1 + 0.2}, {"step": 1_234_570, "loss_d": 1e-17}]


@pytest.fixture(scope="module")
def bundle(bigan_dir: Path) -> Bundle:
    return load(bigan_dir)


def arrays_of(contents: Contents) -> dict[str, NDArray[np.generic]]:
    parts = (contents.calibration, contents.statistics, contents.map_scale, contents.golden, contents.normals)
    named = {f"{type(p).__name__}.{f.name}": getattr(p, f.name) for p in parts for f in fields(p) if f.name != "names"}
    return contents.weights | named


def test_a_round_trip_is_equal_to_the_bit(bundle: Bundle, tmp_path: Path) -> None:
    contents = replace(bundle.contents, history=LONG_RUN)
    loaded = load(save(contents, tmp_path / "name").ref.path).contents
    assert loaded.manifest == contents.manifest
    assert loaded.statistics.names == contents.statistics.names
    assert loaded.history == LONG_RUN
    before, after = arrays_of(contents), arrays_of(loaded)
    assert before.keys() == after.keys()
    assert len(before) > 20
    for name, array in before.items():
        assert after[name].dtype == array.dtype, name
        assert after[name].shape == array.shape, name
        assert after[name].tobytes() == array.tobytes(), name


def test_numbers_without_dimensions_keep_none(bundle: Bundle, tmp_path: Path) -> None:
    count = np.array(7, dtype=np.int64)
    name = next(name for name in bundle.contents.weights if name.endswith("num_batches_tracked"))
    contents = replace(bundle.contents, weights=bundle.contents.weights | {name: count})
    assert save(contents, tmp_path / "name").contents.weights[name].shape == ()


def test_versions_count_up_and_the_highest_is_current(bundle: Bundle, tmp_path: Path) -> None:
    saved = [save(bundle.contents, tmp_path / "name") for _ in range(3)]
    assert [b.version for b in saved] == [1, 2, 3]
    assert load(tmp_path / "name").version == 3
    assert load(tmp_path / "name" / "2").version == 2
    assert [(b.name, b.version) for b in list_bundles(tmp_path)] == [("name", 1), ("name", 2), ("name", 3)]
    (tmp_path / "name" / "3").rename(tmp_path / "name" / "12")
    assert load(tmp_path / "name").version == 12
    assert save(bundle.contents, tmp_path / "name").version == 13


def test_the_digest_is_that_of_the_sums_and_sha256sum_agrees_with_them(bundle: Bundle) -> None:
    folder = bundle.ref.path
    assert bundle.digest == hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()
    check = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=folder, capture_output=True, text=True)
    assert check.returncode == 0
    assert check.stdout.split() == [word for name in sorted([*REQUIRED, EVIDENCE]) for word in (f"{name}:", "OK")]


def test_the_folder_holds_the_files_of_the_design_and_no_pickle(bundle: Bundle) -> None:
    folder = bundle.ref.path
    assert {file.name for file in folder.iterdir()} == {
        "evidence.onnx",
        "manifest.json",
        "weights.safetensors",
        "calibration.safetensors",
        "golden.safetensors",
        "history.csv",
        "README.md",
        "SHA256SUMS",
    }
    for file in folder.iterdir():
        head = file.read_bytes()[:2]
        assert head[:1] != b"\x80", f"{file.name} begins as a pickle"
        assert head != b"PK", f"{file.name} begins as a torch archive"


def test_reading_and_writing_unpickle_nothing(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError("a pickle was used")

    for place, name in ((torch, "load"), (torch, "save"), (pickle, "load"), (pickle, "loads"), (pickle, "dumps")):
        monkeypatch.setattr(place, name, refuse)
    monkeypatch.setattr(np, "load", refuse)
    load(save(bundle.contents, tmp_path / "name").ref.path)


def test_the_card_is_markdown_with_the_command_the_data_and_the_thresholds(bundle: Bundle) -> None:
    card = (bundle.ref.path / CARD).read_text()
    assert card == bundle.card
    assert card.startswith("# bigan, version 1\n")
    assert f"\n```\n{bundle.manifest.command}\n```\n" in card
    assert "normal images of digits, normal: 0" in card
    assert f"| 0.05 | {bundle.contents.calibration.threshold(0.05):.6g} |" in card
    assert "| 0.01 | too few calibration images |" in card
    assert card.endswith("\n")
    manifest = bundle.manifest
    one = manifest.model_copy(update={"data": manifest.data.model_copy(update={"num_left_out": 1})})
    assert "| left out | 1 file that could not be read" in model_card(
        one, bundle.contents.calibration, name="bigan", version=1
    )


def test_the_manifest_and_the_curves_are_for_people_too(bundle: Bundle) -> None:
    text = (bundle.ref.path / MANIFEST).read_text()
    assert json.loads(text)["schema_version"] == 3
    assert '\n      "method": "bigan",\n' in text
    first, second, *_ = (bundle.ref.path / HISTORY).read_text().splitlines()
    assert first.split(",")[0] == "step"
    assert second.split(",")[0] == "1"


Break = Callable[[pytest.MonkeyPatch], None]


def fail_at_the_third_file(patch: pytest.MonkeyPatch) -> None:
    write, calls = module._write, []

    def stop(path: Path, data: bytes) -> None:
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        write(path, data)

    patch.setattr(module, "_write", stop)


def fail_at_the_rename(patch: pytest.MonkeyPatch) -> None:
    def stop(self: Path, target: Path) -> NoReturn:
        raise OSError(5, "Input/output error")

    patch.setattr(Path, "rename", stop)


@pytest.mark.parametrize("break_it", [fail_at_the_third_file, fail_at_the_rename])
def test_a_write_that_fails_leaves_what_was_there(
    break_it: Break, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = save(bundle.contents, tmp_path / "name")
    with monkeypatch.context() as patch:
        break_it(patch)
        with pytest.raises(StorageError, match=r"cannot write a bundle into .*name: .*(space|error)"):
            save(bundle.contents, tmp_path / "name")
    assert [path.name for path in (tmp_path / "name").iterdir()] == ["1"]
    assert load(tmp_path / "name").digest == before.digest
    assert save(bundle.contents, tmp_path / "name").version == 2


def test_a_writer_killed_half_way_leaves_nothing_that_counts(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, it cannot clear up: what it leaves is no version."""
    with monkeypatch.context() as patch:
        fail_at_the_third_file(patch)
        patch.setattr(shutil, "rmtree", lambda path, ignore_errors: None)
        with pytest.raises(StorageError):
            save(bundle.contents, tmp_path / "name")
    assert len(list((tmp_path / "name").iterdir())) == 1
    assert list_bundles(tmp_path) == []
    with pytest.raises(BundleNotFoundError):
        load(tmp_path / "name")
    assert save(bundle.contents, tmp_path / "name").version == 1


def test_a_place_that_cannot_be_written_is_said(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write a bundle into"):
        save(bundle.contents, tmp_path / "file" / "name")
    with pytest.raises(StorageError, match="cannot write a bundle into"):
        check_savable(tmp_path / "file" / "name")


def test_a_look_whether_a_version_can_be_written_leaves_nothing(bundle: Bundle, tmp_path: Path) -> None:
    save(bundle.contents, tmp_path / "name")
    check_savable(tmp_path / "name")
    assert [path.name for path in (tmp_path / "name").iterdir()] == ["1"]


def test_a_written_bundle_can_be_read_by_others(bundle: Bundle) -> None:
    assert bundle.ref.path.stat().st_mode & 0o777 == 0o755
    assert os.access(bundle.ref.path / WEIGHTS, os.R_OK)


@pytest.mark.parametrize(
    ("name", "what"),
    [("m/1", "is a version of a model"), (".hidden", "is passed over"), ("__MACOSX", "is passed over")],
)
def test_a_version_is_not_written_where_nobody_finds_it_nor_into_another(
    name: str, what: str, bigan_dir: Path, tmp_path: Path
) -> None:
    shutil.copytree(bigan_dir, tmp_path / "m")
    before = sorted(tmp_path.rglob("*"))
    for write in (
        lambda: save(load(bigan_dir).contents, tmp_path / name),
        lambda: check_savable(tmp_path / name),
        lambda: train_bundle(TrainOptions(data="digits", out=tmp_path / name, normal=("0",))),
    ):
        with pytest.raises(UsageError, match=what):
            write()
    assert sorted(tmp_path.rglob("*")) == before
    load(tmp_path / "m")


def test_a_bundle_is_shown_by_its_name_version_and_digest(bundle: Bundle) -> None:
    shown = repr(bundle)
    assert all(part in shown for part in (bundle.name, f"version={bundle.version}", bundle.digest))
    assert len(shown) < 500


def test_what_a_bundle_holds_is_shown_by_its_manifest(bundle: Bundle) -> None:
    assert repr(bundle.contents) == f"Contents(manifest={bundle.manifest!r})"
    assert repr(bundle.contents.graph) == "StoredGraph()"
