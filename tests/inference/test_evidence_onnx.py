"""The graph that a bundle gets: of every kind of networks, without weights of its own, and checked beforehand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose

from anomaly.bundle import load, save
from anomaly.bundle.layout import EVIDENCE, WEIGHTS
from anomaly.errors import CorruptBundleError
from anomaly.inference import EngineName, load_detector
from anomaly.inference.evidence_onnx import with_graph
from anomaly.pipeline.train import TrainOptions, train_bundle
from anomaly.recipes import merged
from tests.digit_images import normals, others
from tests.inference.engines import by_torch

TINY: dict[str, dict[str, Any]] = {
    "preprocess": {"size": 16, "channels": 1},
    "network": {"latent_dim": 3},
    "training": {"steps": 12, "batch_size": 16},
}
NARROW = {"network": {"width": 4}}
KINDS: dict[str, dict[str, dict[str, Any]]] = {
    "alad": {"training": {"method": "alad"}},
    "f-anogan with the paper's score": {"training": {"method": "f-anogan"}, "score": {"combine": "paper"}},
    "autoencoder": {"training": {"method": "autoencoder"}},
    "anogan by its encoder": {"training": {"method": "anogan"}, "search": {"steps": 0}},
    "rotation": {"auxiliary": {"rotation": True}},
    "defects in colour": {"preprocess": {"channels": 3}, "auxiliary": {"synthetic_defects": True, "memory_bank": 6}},
    "mlp": {"network": {"architecture": "mlp", "hidden": [24, 12]}},
    "lenet": {
        "preprocess": {"size": 32},
        "network": {"architecture": "lenet"},
        "training": {"method": "f-anogan"},
    },
    "autoencoder with features of the pretrained network, in colour": {
        "preprocess": {"size": 32, "channels": 3},
        "network": {"phi": True},
        "training": {"method": "autoencoder"},
    },
    "hinge": {"training": {"loss": "hinge"}},
    "batch norm in D": {"network": {"discriminator_batch_norm": True}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_networks_of_every_kind_give_the_same_evidence_in_both_engines(kind: str, tmp_path: Path) -> None:
    """Terms, not scores: these networks have learnt so little that normal images agree on D's output to 1e-3."""
    overrides = merged(TINY, KINDS[kind] if kind == "mlp" else merged(NARROW, KINDS[kind]))
    options = TrainOptions("digits", tmp_path / "m", "digits", overrides, normal=("0",), device="cpu")
    train_bundle(options)
    here, there = load_detector(tmp_path / "m", device="cpu"), by_torch(tmp_path / "m")
    assert here.engine.name is EngineName.ONNXRUNTIME
    images = [*normals()[:20], *others()[:20]]
    found, expected = here.score(images), there.score(images)
    assert np.isfinite(expected.score).all()
    for name, term in expected.terms.items():
        assert_allclose(found.terms[name], term, rtol=5e-5, atol=1e-6 * np.abs(term).max(), err_msg=name)
    assert_allclose(np.stack(found.heatmap), np.stack(expected.heatmap), rtol=1e-3, atol=1e-4)


def test_its_weights_are_places_in_the_file_of_weights_and_nothing_is_stored_twice(patched_dir: Path) -> None:
    bundle = load(patched_dir)
    model = onnx.load(bundle.ref.path / EVIDENCE, load_external_data=False)
    outside = {tensor.name for tensor in model.graph.initializer if tensor.data_location == tensor.EXTERNAL}
    inside = [tensor for tensor in model.graph.initializer if tensor.name not in outside]
    assert outside <= bundle.contents.weights.keys()
    assert {"auxiliaries.synthetic_defects.memory_bank.features", "G.to_image.0.weight"} <= outside
    assert sum(len(tensor.raw_data) for tensor in inside) < 4096
    places = {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    assert places == {WEIGHTS}
    onnx.checker.check_model(str(bundle.ref.path / EVIDENCE), full_check=True)


def test_it_says_nothing_of_the_machine_that_made_it(bigan_dir: Path) -> None:
    graph = (bigan_dir / "1" / EVIDENCE).read_bytes()
    for word in (str(Path(__file__).parents[2]), "site-packages", "/usr", ".py"):
        assert word.encode() not in graph


def test_a_graph_that_scores_otherwise_is_never_written(bigan_dir: Path) -> None:
    contents = load(bigan_dir).contents
    golden = replace(contents.golden, terms=contents.golden.terms * 1.01)
    with pytest.raises(
        CorruptBundleError, match="the bundle that was to be written scores its golden images differently"
    ):
        with_graph(replace(contents, graph=None, golden=golden))


def test_a_later_version_keeps_graph_and_weights_to_the_byte(bigan_dir: Path, tmp_path: Path) -> None:
    first = save(load(bigan_dir).contents, tmp_path / "m")
    for name in (EVIDENCE, WEIGHTS):
        assert (first.ref.path / name).read_bytes() == (bigan_dir / "1" / name).read_bytes()
    assert with_graph(first.contents) is first.contents


@pytest.mark.parametrize("model", ["anogan_dir", "bf16_dir"])
def test_what_only_torch_can_score_has_no_graph(model: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(model)
    assert not (folder / "1" / EVIDENCE).exists()
    contents = load(folder).contents
    assert with_graph(contents) is contents
    assert load_detector(folder, device="cpu").engine.name is EngineName.TORCH
