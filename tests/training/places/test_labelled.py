"""Learning from a few labelled defects, with masks and without."""

import pytest
import torch
from torch import Tensor

from anomaly.networks.labelled_defects import LabelledDefects
from anomaly.training.places.labelled import SeenPlaces, learn_labelled, score_of, set_limits

DIMENSIONS = 16
DEFECT = 5.0 * torch.eye(DIMENSIONS)[3]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal_picture(seed: int) -> SeenPlaces:
    return SeenPlaces(torch.randn(100, DIMENSIONS, generator=generator(seed)), torch.zeros(100))


def defective_picture(seed: int, *, masked: bool, shift: Tensor = DEFECT) -> SeenPlaces:
    """Three of its hundred places show the defect, and are among the strongest."""
    q, of_defect = torch.randn(100, DIMENSIONS, generator=generator(seed)), (torch.arange(100) < 3).float()
    q[:3] += shift
    return SeenPlaces(q, 0.1 * of_defect, of_defect if masked else None)


def learnt(*defects: SeenPlaces, seed: int = 0) -> LabelledDefects:
    normal = torch.randn(2000, DIMENSIONS, generator=generator(99))
    made = learn_labelled(normal, [each.for_teaching() for each in defects], seed)
    set_limits([made], map(normal_picture, range(20)))
    return made


@pytest.mark.parametrize("masked", [True, False])
def taught(made: LabelledDefects, picture: SeenPlaces) -> float:
    """The evidence of its strongest place."""
    return float(made(picture.q.T[None, :, :, None]).max())


@pytest.mark.parametrize("masked", [True, False])
def test_a_defect_like_those_labelled_is_told_and_others_are_as_before(masked: bool) -> None:
    made = learnt(*(defective_picture(seed, masked=masked) for seed in range(100, 104)))
    of_defects = [taught(made, defective_picture(seed, masked=False)) for seed in range(200, 220)]
    of_normals = [taught(made, normal_picture(seed)) for seed in range(300, 320)]
    of_others = [taught(made, defective_picture(seed, masked=False, shift=-DEFECT)) for seed in range(400, 420)]
    assert min(of_defects) > max(*of_normals, *of_others)
    assert sum(each > 0 for each in of_normals) <= 10  # a quarter is expected
    assert sum(each > 0 for each in of_others) <= 10


def test_three_of_four_normal_pictures_stay_below_the_limit() -> None:
    made = learnt(defective_picture(100, masked=True))
    assert sum(taught(made, normal_picture(seed)) > 0 for seed in range(20)) == 5
    of_each = [made.likeness(normal_picture(seed).q.T[None, :, :, None]).flatten() for seed in range(20)]
    likeness = torch.cat(of_each)
    assert made.mean.item() == pytest.approx(likeness.mean().item(), rel=1e-4)
    assert made.deviation.item() == pytest.approx(likeness.std(correction=0).item(), rel=1e-4)
    peaks = sorted((float(each.max()) - made.mean.item()) / made.deviation.item() for each in of_each)
    assert peaks[14] < made.limit.item() < peaks[15]


def test_what_is_evident_without_labels_counts_beside_what_they_taught() -> None:
    made, picture = learnt(defective_picture(100, masked=True)), defective_picture(7, masked=False)
    own, strength = made(picture.q.T[None, :, :, None]).flatten(), torch.linspace(0, 3, 100)
    assert score_of(made, SeenPlaces(picture.q, strength)) == pytest.approx(float((strength + own).max()))


def test_only_marked_places_teach_and_of_thin_defects_those_marked_most() -> None:
    q, marked = torch.arange(12.0).reshape(6, 2), torch.tensor([0.0, 0.1, 0.25, 0.9, 0.3, 0.2])
    seen = SeenPlaces(q, torch.zeros(6), marked)
    torch.testing.assert_close(seen.for_teaching().q, q[[2, 3, 4]])
    thin = SeenPlaces(q, torch.zeros(6), marked / 10)
    torch.testing.assert_close(thin.for_teaching().q, q[[3]])
    assert len(SeenPlaces(q, torch.zeros(6), torch.zeros(6)).for_teaching().q) == 0


def test_of_a_picture_without_a_mask_the_strongest_places_teach() -> None:
    strength = torch.randperm(1000, generator=generator(0)).float()
    own = SeenPlaces(torch.arange(1000.0)[:, None], strength).for_teaching()
    assert sorted(own.strength.tolist()) == list(range(970, 1000))
    assert len(SeenPlaces(torch.zeros(4, 1), torch.arange(4.0)).for_teaching().q) == 1


def test_the_same_seed_learns_the_same() -> None:
    torch.manual_seed(1)
    first = learnt(defective_picture(100, masked=True)).state_dict()
    torch.manual_seed(2)
    second, third = (learnt(defective_picture(100, masked=True), seed=seed).state_dict() for seed in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["D.hidden.weight"], third["D.hidden.weight"])
