"""Loading: a bundle is used only where it works as it did when it was written."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from anomaly.bundle import layout
from anomaly.errors import BundleNotFoundError, CorruptBundleError, DeviceError
from anomaly.inference import load_detector
from tests.digit_images import normals


@pytest.fixture
def copied(bigan_dir: Path, tmp_path: Path) -> Path:
    """A version directory that may be changed."""
    return Path(shutil.copytree(bigan_dir / "1", tmp_path / "copied" / "1"))


def sum_again(version: Path) -> None:
    """Write SHA256SUMS anew, as someone who patches a bundle by hand would."""
    lines = [f"{hashlib.sha256((version / name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(layout.SUMMED)]
    (version / layout.SUMS).write_text("".join(lines))


def change_manifest(version: Path, change: Callable[[dict[str, object]], None]) -> None:
    manifest = json.loads((version / layout.MANIFEST).read_text())
    change(manifest)
    (version / layout.MANIFEST).write_text(json.dumps(manifest))
    sum_again(version)


def refusal(version: Path) -> str:
    with pytest.raises(CorruptBundleError) as refused:
        load_detector(version, device="cpu")
    assert str(version) in str(refused.value)
    assert "\n" not in str(refused.value)
    return str(refused.value)


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


def test_weights_of_another_method_are_refused(copied: Path, anogan_dir: Path) -> None:
    shutil.copy(anogan_dir / "1" / layout.WEIGHTS, copied / layout.WEIGHTS)
    sum_again(copied)
    assert "its weights do not fit its manifest" in refusal(copied)


def test_weights_of_other_shapes_are_refused(copied: Path) -> None:
    weights = load_file(copied / layout.WEIGHTS)
    name = next(name for name in weights if name.startswith("G."))
    weights[name] = np.zeros((3, 5), np.float32)
    save_file(weights, copied / layout.WEIGHTS)
    sum_again(copied)
    assert name in refusal(copied)


def test_terms_that_the_networks_do_not_give_are_refused(copied: Path) -> None:
    def rename(manifest: dict[str, object]) -> None:
        manifest["terms"] = [f"other_{i}" for i in range(len(manifest["terms"]))]  # type: ignore[arg-type]

    change_manifest(copied, rename)
    assert "its manifest names" in refusal(copied)


def test_changed_goldens_are_refused(copied: Path) -> None:
    golden = load_file(copied / layout.GOLDEN)
    golden["pixels"] = 255 - golden["pixels"]
    save_file(golden, copied / layout.GOLDEN)
    sum_again(copied)
    assert "scores its golden images differently here" in refusal(copied)


@pytest.mark.parametrize(("model", "harmless", "harmful"), [("bigan_dir", 2e-5, 1e-3), ("bf16_dir", 5e-2, 0.3)])
def test_goldens_may_differ_by_rounding_and_by_no_more(
    tmp_path: Path, request: pytest.FixtureRequest, model: str, harmless: float, harmful: float
) -> None:
    folder = tmp_path / "m" / "1"
    shutil.copytree(request.getfixturevalue(model) / "1", folder)
    stored = load_file(folder / layout.GOLDEN)
    for difference in (harmless, harmful):
        save_file(stored | {"terms": stored["terms"] * (1 + difference)}, folder / layout.GOLDEN)
        sum_again(folder)
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
    for index in range(len(spread)):
        terms = stored["terms"].copy()
        terms[0, index] += 0.3 * (abs(terms[0, index]) + spread[index])
        save_file(stored | {"terms": terms}, folder / layout.GOLDEN)
        sum_again(folder)
        assert "scores its golden images differently here" in refusal(folder)


def test_a_rewritten_bundle_with_the_same_content_works(copied: Path, bigan_dir: Path) -> None:
    change_manifest(copied, lambda manifest: None)
    here, there = (load_detector(place, device="cpu").score(list(normals()[:5])) for place in (copied, bigan_dir))
    np.testing.assert_array_equal(there.score, here.score)


def test_the_loaded_networks_are_frozen_in_eval_mode(bigan_dir: Path) -> None:
    networks = load_detector(bigan_dir, device="cpu")._observer._graph.networks
    assert not any(module.training for module in networks.modules())
    assert not any(parameter.requires_grad for parameter in networks.parameters())


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match="there is no bundle at"):
        load_detector(tmp_path, device="cpu")


@pytest.mark.parametrize("device", ["warp", "cuda:99", "meta", ""])
def test_devices_that_are_not_there(bigan_dir: Path, device: str) -> None:
    with pytest.raises(DeviceError, match="device"):
        load_detector(bigan_dir, device=device)
