"""Points of aligned pictures: where they lie, and how far they are from what normal pictures show there."""

import torch
from torch.nn.functional import pixel_unshuffle

from anomaly.networks.aligned_memory import FINE, AlignedMemory, points_of
from anomaly.networks.places import places_of
from anomaly.networks.pretrained import WIDTHS

GRID = 16  # as many points as a picture of 64 × 64 pixels has
WHOLE = torch.tensor([0.0, 64.0])


def memory() -> AlignedMemory:
    made = AlignedMemory(GRID)
    generator = torch.Generator().manual_seed(0)
    made.mean = torch.randn(made.mean.shape, generator=generator).half()
    made.deviation = torch.full_like(made.deviation, 0.5)
    made.is_known = torch.ones_like(made.is_known)
    return made


def test_points_lie_evenly_within_their_places() -> None:
    points = points_of(places_of(3, 5, torch.tensor([0.0, 24.0])))
    rows, columns = (torch.arange(6) + 0.5) / 6, (torch.arange(10) + 0.5) / 10
    torch.testing.assert_close(points, torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=2))


def test_the_mean_itself_is_no_distance_and_one_changed_point_is_seen_at_its_place_and_its_neighbours() -> None:
    normals = memory()
    seen = normals.mean.float()[None].clone()
    where = places_of(8, 8, WHOLE)
    inside = normals(pixel_unshuffle(seen, FINE), where)[0, 1:-1, 1:-1]
    assert inside.max() < 1e-5
    seen[0, :, 7, 9] += 3 * 0.5  # the lower right point of place (3, 4), so next to places (4, 4), (3, 5) and others
    found = normals(pixel_unshuffle(seen, FINE), where)[0]
    torch.testing.assert_close(found[3, 4], torch.tensor(3 / 9), atol=1e-3, rtol=0)
    assert found[1:-1, 1:-1].count_nonzero().item() <= 4


def test_a_shifted_picture_is_compared_where_its_points_belong() -> None:
    normals = memory()
    shifted = normals.mean.float().roll(2, dims=2)[None]  # by 8 pixels to the right, an eighth of the width
    where = places_of(8, 8, WHOLE)
    wrong, right = (normals(pixel_unshuffle(shifted, FINE), at)[0] for at in (where, where - torch.tensor([0, 1 / 8])))
    assert wrong[2:-2, 2:-2].min() > 0.5
    assert right[2:-2, 2:-2].max() < 1e-3


def test_what_no_normal_showed_is_no_evidence() -> None:
    normals = memory()
    normals.is_known[:, : GRID // 2] = 0
    found = normals(torch.full((1, FINE**2 * WIDTHS[4], 8, 8), 9.0), places_of(8, 8, WHOLE))[0]
    assert found[:, :3].max() == 0
    assert found[2:-2, 5:-1].min() > 1
