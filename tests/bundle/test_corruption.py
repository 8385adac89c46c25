"""Whatever happens to a bundle's files, loading says so in one sentence that names the bundle."""

import json
import operator
import os
import pickle
import re
from collections.abc import Callable
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomaly.bundle import load
from anomaly.bundle.layout import CALIBRATION, CARD, EVIDENCE, GOLDEN, HISTORY, MANIFEST, REQUIRED, SUMS, WEIGHTS
from anomaly.errors import BundleError, CorruptBundleError
from tests.bundle.copies import copy_of, sum_again

SUMMED = [*REQUIRED, EVIDENCE]
ALL_FILES = [*SUMMED, SUMS]
each_file = pytest.mark.parametrize("name", ALL_FILES)
LONG_FIELD = b"step\n" + b"1" * 200_000  # longer than Python's csv takes
Spoil = Callable[[Path], None]
Array = NDArray[np.generic]


CORRUPT = r"is corrupt: .+\. Restore it .+, or train it again"
ADDED = r"is not as it was written: .+ added\. Remove what was added"


def refused(bundle: Path, says: str = CORRUPT) -> str:
    """Why the bundle is refused: one line, the same whether it is asked for by its version or by its name."""
    with pytest.raises(CorruptBundleError) as caught:
        load(bundle)
    message = str(caught.value)
    assert re.fullmatch(rf"the bundle {re.escape(str(bundle))} {says}", message)
    with pytest.raises(CorruptBundleError, match=re.escape(message)):
        load(bundle.parent)
    return message


def test_a_copy_is_as_good(bigan_dir: Path) -> None:
    with copy_of(bigan_dir / "1") as copied:
        assert load(copied).digest == load(bigan_dir).digest
        sum_again(copied)
        assert load(copied).digest == load(bigan_dir).digest


@each_file
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=8)
def test_a_flipped_byte(bigan_dir: Path, name: str, where: float, flip: int) -> None:
    with copy_of(bigan_dir / "1") as copied:
        data = bytearray((copied / name).read_bytes())
        data[int(where * len(data))] ^= flip
        (copied / name).write_bytes(data)
        assert "changed since the bundle was written" in refused(copied)


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def halve(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def extend(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\n")


def make_pickle(file: Path) -> None:
    file.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))


def make_link(file: Path) -> None:
    file.rename(file.parent.parent.parent / file.name)
    file.symlink_to(file.parent.parent.parent / file.name)


def make_dangling_link(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


def make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def make_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@each_file
@pytest.mark.parametrize("spoil", [truncate, halve, empty, extend, make_pickle])
def test_other_bytes(bigan_dir: Path, name: str, spoil: Spoil) -> None:
    with copy_of(bigan_dir / "1") as copied:
        spoil(copied / name)
        assert "changed since the bundle was written" in refused(copied)


def test_the_changed_file_is_named(bigan_dir: Path) -> None:
    with copy_of(bigan_dir / "1") as copied:
        extend(copied / GOLDEN)
        extend(copied / CARD)
        assert ": README.md, golden.safetensors changed since" in refused(copied)


@each_file
@pytest.mark.parametrize("spoil", [make_link, make_dangling_link, make_folder, make_pipe])
def test_no_plain_file(bigan_dir: Path, name: str, spoil: Spoil) -> None:
    with copy_of(bigan_dir / "1") as copied:
        spoil(copied / name)
        assert f"{name} not a plain file" in refused(copied)


@each_file
def test_a_missing_file(bigan_dir: Path, name: str) -> None:
    with copy_of(bigan_dir / "1") as copied:
        (copied / name).unlink()
        assert f"{name} missing" in refused(copied)


@pytest.mark.parametrize("name", ["weights.pt", ".hidden", "SHA256SUMS.bak", "2"])
def test_an_added_file_or_folder(bigan_dir: Path, name: str) -> None:
    with copy_of(bigan_dir / "1") as copied:
        (copied / name).touch()
        assert f"{name} added" in refused(copied, ADDED)
        (copied / name).unlink()
        (copied / name).mkdir()
        assert f"{name} added" in refused(copied, ADDED)


# From here on the sums are right: somebody, or some program, wrote these files and summed them.
# The engine reads the graph, and refuses it where it is spoilt (tests/inference/test_loading.py).


@pytest.mark.parametrize("name", [*REQUIRED, SUMS])
def test_a_pickle_with_right_sums(bigan_dir: Path, name: str) -> None:
    with copy_of(bigan_dir / "1") as copied:
        make_pickle(copied / name)
        if name != SUMS:
            sum_again(copied)
        refused(copied)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe\xfd", b"\x00" * 64, b"[]", b"a,b\n1\n", b"a\n1,2\n", b"step\nten\n", LONG_FIELD]
)
def test_other_contents_with_right_sums(bigan_dir: Path, name: str, data: bytes) -> None:
    """The card may be any text, and a file of curves that is one line has no curves."""
    fits = {CARD: data != b"\xff\xfe\xfd", HISTORY: b"\n" not in data and data != b"\xff\xfe\xfd"}
    with copy_of(bigan_dir / "1") as copied:
        (copied / name).write_bytes(data)
        sum_again(copied)
        if fits.get(name, False):
            load(copied)
        else:
            assert "not those of a bundle of this schema (" in refused(copied)


def test_text_that_is_not_utf8_with_right_sums(bigan_dir: Path) -> None:
    for name in (MANIFEST, CARD, HISTORY):
        with copy_of(bigan_dir / "1") as copied:
            (copied / name).write_bytes((copied / name).read_bytes().replace(b"e", b"\xe9"))
            sum_again(copied)
            assert "not those of a bundle of this schema (" in refused(copied)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("schema_version", 0, "schema_version: Input should be 3"),
        ("num_steps", "many", "num_steps: Input should be a valid integer"),
        ("terms", ["residual"], "term_mean are of shape"),
        ("recipe.score.feature_layer", "conv9", "feature_layer conv9 is none of conv1, joint"),
        ("recipe.score.combine", "auxiliary", "there is no auxiliary discriminator to make the score"),
        ("recipe.preprocess.size", 16, "golden pixels are of shape (4, 1, 8, 8), expected (4, 1, 16, 16)"),
    ],
)
def test_a_manifest_that_does_not_fit_with_right_sums(bigan_dir: Path, field: str, value: object, reason: str) -> None:
    with copy_of(bigan_dir / "1") as copied:
        manifest = json.loads((copied / MANIFEST).read_text())
        *sections, name = field.split(".")
        reduce(operator.getitem, sections, manifest)[name] = value
        (copied / MANIFEST).write_text(json.dumps(manifest))
        sum_again(copied)
        assert reason in refused(copied)


@pytest.mark.parametrize("has_more_files", [False, True])
def test_a_bundle_of_a_newer_version_is_told_as_such_and_not_as_corrupt(bigan_dir: Path, has_more_files: bool) -> None:
    with copy_of(bigan_dir / "1") as copied:
        manifest = json.loads((copied / MANIFEST).read_text())
        (copied / MANIFEST).write_text(json.dumps(manifest | {"schema_version": 9, "new": 1}))
        assert "manifest.json changed" in refused(copied)
        if has_more_files:
            (copied / "new.bin").touch()
        sum_again(copied)
        with pytest.raises(BundleError, match=r"newer version of anomaly \(schema 9; .* up to 3\): upgrade"):
            load(copied.parent)


@pytest.mark.parametrize("section", ["", "data", "recipe.features"])
def test_a_field_of_a_newer_version_is_told_as_such_and_not_as_corrupt(bigan_dir: Path, section: str) -> None:
    with copy_of(bigan_dir / "1") as copied:
        manifest = json.loads((copied / MANIFEST).read_text())
        sections = section.split(".") if section else []
        reduce(operator.getitem, sections, manifest)["later"] = 1
        (copied / MANIFEST).write_text(json.dumps(manifest))
        assert "manifest.json changed" in refused(copied)
        sum_again(copied)
        field = re.escape(".".join([*sections, "later"]))
        with pytest.raises(BundleError, match=rf"newer version of anomaly \(this one does not know {field} in its"):
            load(copied.parent)


def test_a_field_that_an_older_schema_had_not_is_no_sign_of_a_newer_version(bigan_dir: Path) -> None:
    with copy_of(bigan_dir / "1") as copied:
        manifest = json.loads((copied / MANIFEST).read_text())
        (copied / MANIFEST).write_text(json.dumps(manifest | {"schema_version": 2, "later": 1}))
        sum_again(copied)
        assert "later: Extra inputs are not permitted" in refused(copied)


def test_a_manifest_without_a_field_with_right_sums(bigan_dir: Path) -> None:
    with copy_of(bigan_dir / "1") as copied:
        manifest = json.loads((copied / MANIFEST).read_text())
        del manifest["data"]["num_train"]
        (copied / MANIFEST).write_text(json.dumps(manifest))
        sum_again(copied)
        assert "(data.num_train: Field required)" in refused(copied)


def test_a_bundle_without_a_way_to_find_latents_with_right_sums(anogan_dir: Path) -> None:
    with copy_of(anogan_dir / "1") as copied:
        manifest = json.loads((copied / MANIFEST).read_text())
        manifest["recipe"]["search"] = None
        (copied / MANIFEST).write_text(json.dumps(manifest))
        sum_again(copied)
        assert "evidence.onnx is missing" in refused(copied)


ARRAYS = {
    CALIBRATION: [
        "scores",
        "term_mean",
        "term_std",
        "term_inverse_covariance",
        "map_layers",
        "map_peak",
        "normal_keys",
        "normal_sets",
    ],
    GOLDEN: ["pixels", "z_hat", "terms", "scores"],
}
each_array = pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file, names in ARRAYS.items() for name in names]
)


def rewrite(bundle: Path, file: str, change: Callable[[dict[str, Array]], dict[str, Array]]) -> None:
    arrays = safetensors.numpy.load((bundle / file).read_bytes())
    (bundle / file).write_bytes(safetensors.numpy.save(change(arrays)))
    sum_again(bundle)


@each_array
def test_an_array_of_another_shape_with_right_sums(bigan_dir: Path, file: str, name: str) -> None:
    with copy_of(bigan_dir / "1") as copied:
        rewrite(copied, file, lambda arrays: arrays | {name: np.stack([arrays[name]] * 2)})
        assert "of shape (" in refused(copied)
    with copy_of(bigan_dir / "1") as copied:
        if name != "normal_keys":  # may be of any length
            rewrite(copied, file, lambda arrays: arrays | {name: arrays[name][:0]})
            assert "of shape (" in refused(copied)


@each_array
def test_an_array_that_is_missing_with_right_sums(bigan_dir: Path, file: str, name: str) -> None:
    with copy_of(bigan_dir / "1") as copied:
        rewrite(copied, file, lambda arrays: {key: array for key, array in arrays.items() if key != name})
        assert f"('{name}' is missing)" in refused(copied)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("file", "name"),
    [
        (WEIGHTS, "G.to_image.0.weight"),
        (CALIBRATION, "term_inverse_covariance"),
        (CALIBRATION, "scores"),
        (GOLDEN, "terms"),
    ],
)
def test_numbers_that_are_not_finite_with_right_sums(bigan_dir: Path, file: str, name: str, value: float) -> None:
    def spoil(arrays: dict[str, Array]) -> dict[str, Array]:
        array = arrays[name].copy()
        array.flat[-1] = value
        return arrays | {name: array}

    with copy_of(bigan_dir / "1") as copied:
        rewrite(copied, file, spoil)
        assert "are not all finite" in refused(copied)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("term_std", lambda array: 0 * array, "term_std are not all above 0"),
        ("map_layers", lambda array: -array, "map_layers are not all above 0"),
        ("map_peak", lambda array: 0 * array, "map_peak are not all above 0"),
        ("scores", lambda array: array[::-1].copy(), "calibration scores are not ascending"),
        ("term_mean", lambda array: 1.01 * array, "golden images do not have the scores"),
        ("term_inverse_covariance", lambda array: 1.01 * array, "golden images do not have the scores"),
    ],
)
def test_what_makes_scores_of_terms_is_checked_with_right_sums(
    bigan_dir: Path, name: str, change: Callable[[Array], Array], says: str
) -> None:
    with copy_of(bigan_dir / "1") as copied:
        rewrite(copied, CALIBRATION, lambda arrays: arrays | {name: change(arrays[name])})
        assert says in refused(copied)


def test_another_way_to_combine_than_that_of_the_calibration_is_refused_with_right_sums(bigan_dir: Path) -> None:
    with copy_of(bigan_dir / "1") as copied:
        manifest = json.loads((copied / MANIFEST).read_text())
        manifest["recipe"]["score"]["combine"] = "paper"
        (copied / MANIFEST).write_text(json.dumps(manifest))
        sum_again(copied)
        assert "golden images do not have the scores that score.combine" in refused(copied)
