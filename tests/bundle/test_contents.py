"""What belongs to a bundle by its manifest; that each file is as it was written is shown in `test_corruption`."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from anomaly.bundle import load, save
from anomaly.bundle.layout import CALIBRATION, CARD, EVIDENCE, GOLDEN, MANIFEST
from anomaly.errors import CorruptBundleError
from tests.bundle.copies import copy_of, sum_again


@pytest.mark.parametrize("is_real", [True, False])
def test_a_graph_that_was_added_is_to_be_removed(anogan_dir: Path, bigan_dir: Path, *, is_real: bool) -> None:
    """A bundle that only torch can score has none: nothing was changed, so there is nothing to restore."""
    with copy_of(anogan_dir / "1") as copied:
        (copied / EVIDENCE).write_bytes((bigan_dir / "1" / EVIDENCE).read_bytes() if is_real else b"")
        with pytest.raises(CorruptBundleError, match=r"as it was written: evidence.onnx added\. Remove what was added"):
            load(copied)
        (copied / CARD).write_text("another card")
        with pytest.raises(CorruptBundleError, match=r"is corrupt: README.md, evidence.onnx changed since"):
            load(copied)


@pytest.mark.parametrize("model", ["bigan_dir", "anogan_dir"])
def test_a_graph_where_there_is_none_is_refused_with_right_sums(
    request: pytest.FixtureRequest, bigan_dir: Path, model: str
) -> None:
    """Neither in an older schema, whose weights may have other names than the graph knows, nor beside a search."""
    with copy_of(request.getfixturevalue(model) / "1") as copied:
        if model == "bigan_dir":
            manifest = json.loads((copied / MANIFEST).read_text())
            (copied / MANIFEST).write_text(json.dumps(manifest | {"schema_version": 2}))
        (copied / EVIDENCE).write_bytes((bigan_dir / "1" / EVIDENCE).read_bytes())
        sum_again(copied)
        with pytest.raises(CorruptBundleError, match=r"evidence.onnx is of no use to this recipe or schema"):
            load(copied)


def test_what_was_made_before_0_3_1_searches_as_it_did(anogan_dir: Path) -> None:
    """`search.pairs` did not exist, and what searched without it was calibrated by that."""
    with copy_of(anogan_dir / "1") as copied:
        manifest = json.loads((copied / MANIFEST).read_text())
        assert manifest["recipe"]["search"].pop("pairs") is True
        (copied / MANIFEST).write_text(json.dumps(manifest))
        sum_again(copied)
        search = load(copied).manifest.recipe.search
        assert search is not None
        assert not search.pairs


def test_a_bundle_without_golden_images_is_refused_with_right_sums(bigan_dir: Path) -> None:
    """They are what an engine is checked by."""
    with copy_of(bigan_dir / "1") as copied:
        arrays = safetensors.numpy.load((copied / GOLDEN).read_bytes())
        none = {name: array[:0] for name, array in arrays.items()}
        (copied / GOLDEN).write_bytes(safetensors.numpy.save(none))
        sum_again(copied)
        with pytest.raises(CorruptBundleError, match="there are no golden images"):
            load(copied)


def test_parts_are_stored_where_they_are_known_and_in_a_shape_that_fits(bigan_dir: Path, tmp_path: Path) -> None:
    contents = load(bigan_dir / "1").contents
    assert "normal_parts" not in safetensors.numpy.load((bigan_dir / "1" / CALIBRATION).read_bytes())
    assert not contents.normals.parts.any()
    keys = contents.normals.keys
    bundle = save(replace(contents, normals=contents.normals.with_parts(keys, ~keys)), tmp_path / "m")
    assert np.array_equal(bundle.contents.normals.parts, ~keys)
    with copy_of(bundle.ref.path) as copied:
        arrays = safetensors.numpy.load((copied / CALIBRATION).read_bytes())
        (copied / CALIBRATION).write_bytes(safetensors.numpy.save(arrays | {"normal_parts": ~keys[1:]}))
        sum_again(copied)
        with pytest.raises(CorruptBundleError, match=r"normal_parts are of shape \("):
            load(copied)
