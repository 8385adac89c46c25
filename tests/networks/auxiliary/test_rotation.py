import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from anomaly.config import Method, NetworkPlan
from anomaly.networks import build
from anomaly.networks.auxiliary import Rotation, SyntheticDefects
from anomaly.networks.auxiliary.rotation import (
    NUM_ROTATIONS,
    RotationDiscriminator,
    _vary,
    rotated,
    rotation_doubt,
)
from anomaly.runtime import seeded_rng, to_float
from anomaly.training.optimizers import auxiliary_optimizer, descend
from tests.training.runs import digits, network

ROTATED = network(Method.BIGAN).model_copy(update={"rotation": True})


def rotation() -> Rotation:
    torch.manual_seed(0)
    return Rotation(ROTATED)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (32, 3), (128, 1)])
def test_there_is_a_logit_for_each_rotation_whatever_the_side(size: int, channels: int) -> None:
    config = NetworkPlan.model_validate({"size": size, "channels": channels, "rotation": True})
    assert RotationDiscriminator(config).eval()(torch.zeros(2, channels, size, size)).shape == (2, NUM_ROTATIONS)


def test_copies_are_rotated_by_quarters_one_rotation_of_all_images_after_another() -> None:
    x = torch.arange(8.0).view(2, 1, 2, 2)
    copies = rotated(x)
    assert copies[:2].equal(x)
    assert copies[2, 0].tolist() == [[1.0, 3.0], [0.0, 2.0]]  # counter-clockwise
    for quarters in range(1, NUM_ROTATIONS):
        assert copies[2 * quarters : 2 * quarters + 2].equal(torch.rot90(x, quarters, dims=(2, 3)))


def test_there_is_one_only_where_it_is_asked_for_and_the_game_does_not_count_it_as_its_own() -> None:
    config = network(Method.BIGAN)
    assert build(config).all_auxiliaries() == []
    networks = build(config.model_copy(update={"rotation": True, "synthetic_defects": True}))
    assert [type(auxiliary) for auxiliary in networks.all_auxiliaries()] == [SyntheticDefects, Rotation]
    assert networks.all_auxiliaries()[1].discriminator not in list(networks.discriminators())


def test_a_side_that_it_cannot_halve_is_refused() -> None:
    with pytest.raises(ValueError, match=r"halves the side three times, so 28 does not fit; .*auxiliary\.rotation"):
        NetworkPlan.model_validate({"architecture": "mlp", "size": 28, "rotation": True})


def test_the_loss_is_the_cross_entropy_of_the_right_rotations() -> None:
    auxiliary, x = rotation(), torch.rand(3, 1, 8, 8)
    copies = rotated(_vary(x, seeded_rng("turns", 5, 7)))
    with torch.no_grad():
        logits, loss = auxiliary.discriminator(copies), auxiliary.loss(*auxiliary.examples(x, seed=5, step=7))
    right = torch.tensor([quarters for quarters in range(NUM_ROTATIONS) for _ in range(3)])
    torch.testing.assert_close(loss, cross_entropy(logits, right))
    torch.testing.assert_close(loss, rotation_doubt(logits).mean())


def test_images_are_mirrored_or_not_and_shifted_a_little() -> None:
    x = torch.rand(64, 1, 32, 32, generator=seeded_rng("images"))
    varied = _vary(x, seeded_rng("vary"))
    middle = varied[:, :, 8:24, 8:24]
    found = [
        any(
            torch.equal(middle[i], candidate[:, 8 + row : 24 + row, 8 + column : 24 + column])
            for row in range(-2, 3)
            for column in range(-2, 3)
        )
        for i in range(len(x))
        for candidate in (x[i], x[i].flip(2))
    ]
    assert sum(found) == len(x)
    assert 16 < sum(found[::2]) < 48


def test_it_learns_which_way_unseen_digits_stand_and_doubts_others() -> None:
    auxiliary = rotation()
    optimizer = auxiliary_optimizer(auxiliary)
    pixels = digits(150)
    x, unseen = to_float(torch.from_numpy(pixels[:110])), to_float(torch.from_numpy(pixels[110:]))
    for step in range(60):
        descend(optimizer, auxiliary.loss(*auxiliary.examples(x[(step * 32) % 96 :][:32], seed=0, step=step)))
    auxiliary.eval()
    with torch.no_grad():
        normal, noise = (auxiliary(t).term for t in (unseen, torch.randn_like(unseen)))
    assert normal.mean() < 0.8 * np.log(NUM_ROTATIONS)
    assert noise.mean() > normal.mean() + 0.3


def test_the_doubt_is_the_mean_of_minus_log_of_the_right_rotations() -> None:
    logits = drawn(8, 4, seed=3)
    for image, found in enumerate(rotation_doubt(logits)):
        right = [logits[2 * quarters + image].softmax(0)[quarters].log().item() for quarters in range(4)]
        assert found.item() == pytest.approx(-sum(right) / 4, abs=1e-6)


def test_its_evidence_is_the_doubt_of_each_image_and_no_map() -> None:
    auxiliary, x = rotation().eval(), drawn(3, 1, 8, 8, seed=1)
    with torch.no_grad():
        evidence = auxiliary(x)
        torch.testing.assert_close(evidence.term, rotation_doubt(auxiliary.discriminator(rotated(x))))
    assert evidence.term.shape == (3,)
    assert evidence.maps == ()
    assert Rotation.num_maps(ROTATED) == 0
