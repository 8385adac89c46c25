"""What labelled defects teach adds to the evidence from normals, and takes nothing from it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomaly.config import FeaturesConfig, Place
from anomaly.data.pose import AS_IT_LIES
from anomaly.networks.labelled_defects import LabelledDefects
from anomaly.networks.places import PlaceNetworks

DIMENSIONS = 12


def labelled(limit: float, seed: int = 0) -> LabelledDefects:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = LabelledDefects(DIMENSIONS)
    made.mean, made.deviation, made.limit = torch.tensor(0.1), torch.tensor(0.05), torch.tensor(limit)
    return made.requires_grad_(False)


@given(st.integers(0, 2**16), st.floats(-3, 6))
def test_evidence_is_what_lies_beyond_the_limit_in_deviations(seed: int, limit: float) -> None:
    made = labelled(limit, seed)
    q = torch.randn(2, DIMENSIONS, 3, 4, generator=torch.Generator().manual_seed(seed))
    found = made(q)
    for image in range(2):
        for row in range(3):
            for column in range(4):
                (logit,) = made.D(q[image, :, row, column][None, :, None, None]).flatten().tolist()
                expected = 3 * max((-logit - 0.1) / 0.05 - made.limit.item(), 0.0)
                assert found[image, row, column].item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_labels_never_lower_the_evidence_of_a_place(seed: int) -> None:
    """And what they give is one more map, by which the sum is higher."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        plain = PlaceNetworks(FeaturesConfig(places=Place.NEAR, memory=16, half_restorer=True)).eval()
        maps = torch.randn(1, plain.phi_maps.num_features, 16, 16)
        at = torch.tensor([0.0, 128.0]), torch.from_numpy(AS_IT_LIES)
        with torch.no_grad():
            before = plain.judge(maps, *at)
            plain.labelled = LabelledDefects(len(plain.axes.axes))
            plain.labelled.limit = torch.tensor(-0.1)
            after = plain.judge(maps, *at)
    own = after[:, -1:]
    torch.testing.assert_close(after[:, 1:-1], before[:, 1:])
    torch.testing.assert_close(after[:, :1], before[:, :1] + own)
    assert (own >= 0).all()
    assert plain.evidence_names == ("strongest_place", "novelty", "doubt", "residual", "residual_half", "labelled")
