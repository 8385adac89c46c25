"""Loading: a bundle is used only where it works as it did when it was written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from anomaly.bundle import layout, load
from anomaly.errors import BundleNotFoundError, CorruptBundleError, DeviceError
from anomaly.inference import load_detector, onnx_engine
from anomaly.scoring import combine
from tests.bundle.copies import sum_again
from tests.digit_images import normals
from tests.inference.engines import by_torch, engine_of


@pytest.fixture
def copied(bigan_dir: Path, tmp_path: Path) -> Path:
    """A version directory that may be changed."""
    return Path(shutil.copytree(bigan_dir / "1", tmp_path / "copied" / "1"))


def change_manifest(version: Path, change: Callable[[dict[str, object]], None]) -> None:
    manifest = json.loads((version / layout.MANIFEST).read_text())
    change(manifest)
    (version / layout.MANIFEST).write_text(json.dumps(manifest))
    sum_again(version)


def rename_weights(version: Path, name: bytes, other: bytes) -> None:
    data = (version / layout.WEIGHTS).read_bytes()
    assert name in data
    (version / layout.WEIGHTS).write_bytes(data.replace(name, other))
    sum_again(version)


def refusal(version: Path, engine: str = "auto") -> str:
    with pytest.raises(CorruptBundleError) as refused:
        load_detector(version, device="cpu", engine=engine)
    assert str(version) in str(refused.value)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def terms_of_goldens(version: Path) -> Callable[[NDArray[np.float64]], None]:
    """Gives the goldens other terms, and the scores that follow from these."""
    contents, stored = load(version).contents, load_file(version / layout.GOLDEN)

    def rewrite(terms: NDArray[np.float64]) -> None:
        by_name = dict(zip(contents.manifest.terms, terms.T, strict=True))
        scores = combine(by_name, contents.statistics, contents.manifest.recipe)
        save_file(stored | {"terms": terms, "scores": scores}, version / layout.GOLDEN)
        sum_again(version)

    return rewrite


def test_a_name_directory_stands_for_its_current_version(copied: Path) -> None:
    shutil.copytree(copied, copied.parent / "2")
    assert load_detector(copied.parent, device="cpu").bundle.version == 2
    assert load_detector(copied, device="cpu").bundle.version == 1
    assert load_detector(str(copied), device="cpu").bundle.version == 1


@pytest.mark.parametrize("network", ["G", "D", "E"])
def test_weights_of_another_bundle_are_refused(copied: Path, network: str) -> None:
    weights = load_file(copied / layout.WEIGHTS)
    name = next(name for name in weights if name.startswith(f"{network}.") and "weight" in name)
    weights[name] = weights[name] * np.float32(1.01)
    save_file(weights, copied / layout.WEIGHTS)
    sum_again(copied)
    assert "scores its golden images differently here" in refusal(copied)


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_weights_that_leave_no_term_a_number_are_refused(copied: Path, engine: str) -> None:
    weights = load_file(copied / layout.WEIGHTS)
    for name, each in weights.items():
        if name.startswith("E.") and name.endswith("weight"):
            weights[name] = each * np.float32(1e30)
    save_file(weights, copied / layout.WEIGHTS)
    sum_again(copied)
    assert "scores its golden images differently here" in refusal(copied, engine)


def test_weights_of_another_method_are_refused(copied: Path, anogan_dir: Path) -> None:
    shutil.copy(anogan_dir / "1" / layout.WEIGHTS, copied / layout.WEIGHTS)
    sum_again(copied)
    said = refusal(copied, "torch")
    assert "its weights do not fit its manifest (" in said
    assert said.endswith("go back to the version that made it")
    assert len(said) < len(str(copied)) + 300  # and not the names of all arrays
    assert "is corrupt: ONNX Runtime cannot load its graph" in refusal(copied, "onnxruntime")


def test_weights_of_other_shapes_are_refused(copied: Path) -> None:
    weights = load_file(copied / layout.WEIGHTS)
    name = next(name for name in weights if name.startswith("G."))
    weights[name] = np.zeros((3, 5), np.float32)
    save_file(weights, copied / layout.WEIGHTS)
    sum_again(copied)
    assert name in refusal(copied, "torch")
    assert "is corrupt: its weights do not fit its graph" in refusal(copied, "onnxruntime")


def test_weights_in_other_places_are_refused(copied: Path) -> None:
    """The bytes are where they were, and have other names."""
    rename_weights(copied, b"G.project.0.weight", b"G.project.0.WEIGHT")
    assert "its weights do not fit its graph" in refusal(copied, "onnxruntime")
    assert "its weights do not fit its manifest (2 arrays, the first is " in refusal(copied, "torch")


def test_weights_of_places_in_other_places_are_refused(whole_places_dir: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(whole_places_dir / "1", tmp_path / "copied" / "1"))
    rename_weights(copied, b"statistics.mean", b"statistics.MEAN")
    assert "its weights do not fit its graph" in refusal(copied, "onnxruntime")
    assert "its weights do not fit its manifest (2 arrays, the first is statistics.MEAN)" in refusal(copied, "torch")


def test_terms_that_the_networks_do_not_give_are_refused(copied: Path) -> None:
    def rename(manifest: dict[str, object]) -> None:
        manifest["terms"] = [f"other_{i}" for i in range(len(manifest["terms"]))]  # type: ignore[arg-type]

    change_manifest(copied, rename)
    for engine in ("torch", "onnxruntime"):
        assert "its manifest names" in refusal(copied, engine)


def test_changed_goldens_are_refused(copied: Path) -> None:
    golden = load_file(copied / layout.GOLDEN)
    golden["pixels"] = 255 - golden["pixels"]
    save_file(golden, copied / layout.GOLDEN)
    sum_again(copied)
    said = refusal(copied)
    assert "scores its golden images differently here" in said
    assert said.endswith("Train it again, or go back to the version that made it")


@pytest.mark.parametrize(("model", "harmless", "harmful"), [("bigan_dir", 2e-5, 1e-3), ("bf16_dir", 5e-2, 0.3)])
def test_goldens_may_differ_by_rounding_and_by_no_more(
    tmp_path: Path, request: pytest.FixtureRequest, model: str, harmless: float, harmful: float
) -> None:
    folder = tmp_path / "m" / "1"
    shutil.copytree(request.getfixturevalue(model) / "1", folder)
    stored = load_file(folder / layout.GOLDEN)
    with_terms = terms_of_goldens(folder)
    for difference in (harmless, harmful):
        with_terms(stored["terms"] * (1 + difference))
        if difference == harmless:
            load_detector(folder, device="cpu")
        else:
            assert "scores its golden images differently here" in refusal(folder)


@pytest.mark.parametrize("model", ["bigan_dir", "bf16_dir"])
def test_no_term_is_so_small_that_its_goldens_may_be_anything(
    tmp_path: Path, request: pytest.FixtureRequest, model: str
) -> None:
    folder = tmp_path / "m" / "1"
    shutil.copytree(request.getfixturevalue(model) / "1", folder)
    stored, spread = load_file(folder / layout.GOLDEN), load_file(folder / layout.CALIBRATION)["term_std"]
    with_terms = terms_of_goldens(folder)
    for index in range(len(spread)):
        terms = stored["terms"].copy()
        terms[0, index] += 0.3 * (abs(terms[0, index]) + spread[index])
        with_terms(terms)
        assert "scores its golden images differently here" in refusal(folder)


def test_a_rewritten_bundle_with_the_same_content_works(copied: Path, bigan_dir: Path) -> None:
    change_manifest(copied, lambda manifest: None)
    here, there = (load_detector(place, device="cpu").score(list(normals()[:5])) for place in (copied, bigan_dir))
    np.testing.assert_array_equal(there.score, here.score)


def test_the_loaded_networks_are_frozen_in_eval_mode(bigan_dir: Path) -> None:
    networks = engine_of(by_torch(bigan_dir))._graph.networks
    assert not any(module.training for module in networks.modules())
    assert not any(parameter.requires_grad for parameter in networks.parameters())


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match="there is no bundle at"):
        load_detector(tmp_path, device="cpu")


@pytest.mark.parametrize("device", ["warp", "cuda:99", "meta", ""])
def test_devices_that_are_not_there(bigan_dir: Path, device: str) -> None:
    with pytest.raises(DeviceError, match="device"):
        load_detector(bigan_dir, device=device)


@pytest.mark.parametrize("graph", [b"", b"\x00" * 64, b"\x80\x04N.", b"{}", b"no text"])
def test_a_graph_that_is_none_is_refused_with_right_sums(
    copied: Path, capfd: pytest.CaptureFixture[str], graph: bytes
) -> None:
    """In one sentence: ONNX Runtime prints nothing beside it."""
    if graph == b"no text":
        graph = (copied / layout.EVIDENCE).read_bytes().replace(b"LeakyRelu", b"Leaky\xdfelu", 1)
    (copied / layout.EVIDENCE).write_bytes(graph)
    sum_again(copied)
    assert "ONNX Runtime cannot load its graph" in refusal(copied)
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_fails_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory\nand more")

    monkeypatch.setattr(onnx_engine, "_run_batch", fail)
    assert "cannot score its golden images here ([ONNXRuntimeError] : 1 : FAIL : Failed to" in refusal(copied)


def test_the_graph_of_another_bundle_is_refused(copied: Path, patched_dir: Path) -> None:
    shutil.copy(patched_dir / "1" / layout.EVIDENCE, copied / layout.EVIDENCE)
    sum_again(copied)
    assert "is corrupt: " in refusal(copied)


def test_a_graph_for_images_of_another_size_is_refused(copied: Path) -> None:
    """With everything else that the manifest of such a bundle says."""
    arrays = load_file(copied / layout.GOLDEN)
    save_file(arrays | {"pixels": np.repeat(np.repeat(arrays["pixels"], 2, 2), 2, 3)}, copied / layout.GOLDEN)
    change_manifest(copied, lambda manifest: manifest["recipe"]["preprocess"].update(size=16))  # type: ignore[index]
    assert "its graph has the inputs and outputs {'x': (1, 8, 8)" in refusal(copied, "onnxruntime")


def test_another_model_is_no_graph(copied: Path) -> None:
    """Its outputs have no second axis, and its weights are inside."""
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n"])
    result = onnx.helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, ["n"])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Abs", ["x"], ["score"])], "other", [value], [result])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    (copied / layout.EVIDENCE).write_bytes(model.SerializeToString())
    sum_again(copied)
    assert "its graph has the inputs and outputs {'x': (), 'score': ()}" in refusal(copied)
