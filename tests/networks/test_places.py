"""Evidence of places: distances against brute force, and statistics of a place."""

import pytest
import torch

from anomaly.config import FeaturesConfig
from anomaly.networks.place_statistics import GRID, PlaceStatistics
from anomaly.networks.places import (
    COARSE_DIMENSIONS,
    NUM_FEATURES,
    CellMemory,
    MainAxes,
    PlaceMemory,
    PlaceNetworks,
    places_of,
)
from anomaly.networks.pretrained import WIDTHS


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("closeness", [0.0, 8.0])
def test_the_distance_is_that_of_the_nearest_remembered_place(closeness: float) -> None:
    """More are remembered than are compared with at once."""
    memory, q = PlaceMemory(1500, COARSE_DIMENSIONS), drawn(2, COARSE_DIMENSIONS, 3, 4)
    where = places_of(3, 4, torch.tensor([0.0, 24.0]))
    kept_q, kept_where = drawn(1500, COARSE_DIMENSIONS), torch.rand(1500, 2, generator=torch.Generator().manual_seed(1))
    memory.places = torch.cat([kept_q, closeness * kept_where], dim=1)
    memory.closeness = torch.tensor(closeness)
    found = memory(q, where)
    for image in range(2):
        for row in range(3):
            for column in range(4):
                of_q = (kept_q - q[image, :, row, column]).double().square().sum(dim=1)
                of_where = (kept_where - where[row, column]).double().square().sum(dim=1)
                expected = (of_q + closeness**2 * of_where).min().sqrt()
                assert float(found[image, row, column]) == pytest.approx(float(expected), rel=1e-4)


def test_a_place_is_compared_with_those_of_its_own_cell() -> None:
    """More are remembered of each than are compared with at once; the nearest is the last."""
    memory, q = CellMemory(GRID, 70, 5), torch.zeros(1, 5, 2 * GRID, GRID)
    memory.places = torch.zeros_like(memory.places)
    memory.places[:, :, 0] = torch.arange(GRID * GRID)[:, None] + torch.arange(70, 0, -1)
    found = memory(q, places_of(2 * GRID, GRID, torch.tensor([0.0, 16.0 * GRID])))[0]
    expected = torch.arange(GRID * GRID).reshape(GRID, GRID).repeat_interleave(2, dim=0) + 1
    torch.testing.assert_close(found, expected.float())


def test_larger_cells_compare_the_mean_of_four_places_by_its_first_dimensions() -> None:
    memory, half = CellMemory(GRID // 2, 1, 2), GRID // 2
    memory.places[:, 0, 0] = torch.arange(half * half).half()
    m = torch.rand(2, 3, GRID, GRID, generator=torch.Generator().manual_seed(0))
    where = places_of(GRID, GRID, torch.tensor([0.0, 8.0 * GRID]))
    means = m.reshape(2, 3, half, 2, half, 2).mean(dim=(3, 5))
    first = means[:, 0] - torch.arange(half * half).reshape(half, half)
    expected = (first.square() + means[:, 1].square()).sqrt()
    torch.testing.assert_close(memory(m, where), expected.repeat_interleave(2, 1).repeat_interleave(2, 2))
    strip = places_of(4, GRID, torch.tensor([16.0, 8.0 * GRID]))
    torch.testing.assert_close(memory(m[:, :, 2:6], strip), memory(m, where)[:, 2:6])


def test_a_strip_lies_where_it_lies_in_its_picture() -> None:
    whole = places_of(12, 5, torch.tensor([0.0, 96.0]))
    strip = places_of(4, 5, torch.tensor([48.0, 96.0]))
    torch.testing.assert_close(strip, whole[6:10])
    torch.testing.assert_close(whole[0, 0], torch.tensor([0.5 / 12, 0.1]))
    torch.testing.assert_close(whole[-1, -1], torch.tensor([11.5 / 12, 0.9]))


def test_evidence_is_in_deviations_of_its_place() -> None:
    """The mean grows downwards, the deviation to the right; between cells both are interpolated."""
    statistics, steps = PlaceStatistics(2), (torch.arange(GRID) + 0.5) / GRID
    statistics.mean = torch.stack([10 * steps[:, None].expand(GRID, GRID), torch.zeros(GRID, GRID)])
    statistics.deviation = torch.stack([torch.ones(GRID, GRID), (1 + steps)[None].expand(GRID, GRID)])
    where = torch.tensor([[[0.5, 0.25], [0.3, 0.8]]])
    found = statistics(torch.full((1, 2, 1, 2), 12.0), where)[0]
    torch.testing.assert_close(found[0, 0], torch.tensor([7.0, 9.0]))
    torch.testing.assert_close(found[1, 0], torch.tensor([12 / 1.25, 12 / 1.8]))


def _turned(axes: MainAxes, places: torch.Tensor) -> torch.Tensor:
    q: torch.Tensor = axes(places.T[None, :, :, None])
    return q[0, :, :, 0]


def test_main_axes_keep_what_varies_most_and_are_uncorrelated() -> None:
    """Five sources of unlike strength: where channels are standardised their distances are kept, not their channels."""
    places = drawn(2000, 5) @ drawn(5, 40) + 3
    axes = MainAxes(40, 8)
    axes.fit(places, whiten=False)
    q = _turned(axes, places)
    standardised = (places - places.mean(dim=0)) / places.std(dim=0)
    assert float(q.mean().abs()) < 1e-3
    covariance = torch.cov(q)
    torch.testing.assert_close(covariance, torch.diag(covariance.diag()), atol=1e-3, rtol=0)
    assert (covariance.diag().diff() <= 1e-3).all()
    for other in (1, 50, 700):
        expected = (standardised[0] - standardised[other]).norm()
        torch.testing.assert_close((q[:, 0] - q[:, other]).norm(), expected, rtol=1e-3, atol=1e-3)


def test_whitened_axes_vary_alike_but_for_those_that_hardly_vary() -> None:
    """A direction in which normals agree is not magnified to noise."""
    places = drawn(2000, 5) @ drawn(5, 40) + 3
    axes = MainAxes(40, 8)
    axes.fit(places, whiten=True)
    deviations = _turned(axes, places).std(dim=1)
    torch.testing.assert_close(deviations[:5], torch.ones(5), atol=0.02, rtol=0)
    assert (deviations[5:] < 0.01).all()


def test_both_maps_are_remembered_as_they_are() -> None:
    """All distances in the same unit, whatever the channels' scales; what varies little counts little."""
    scales = torch.logspace(-2, 1, NUM_FEATURES)
    maps = torch.cat([drawn(300, NUM_FEATURES) * scales + 2, drawn(300, 9)], dim=1)[:, :, None, None]
    networks = PlaceNetworks(FeaturesConfig(memory_maps="both"))
    networks.memory_axes.fit(maps[:, :NUM_FEATURES, 0, 0], whiten=False, by_channel=False)
    m = networks.recall(maps)[:, :, 0, 0].double()
    seen = maps[:, :NUM_FEATURES, 0, 0].double()
    unit = seen.var(dim=0).mean().sqrt()
    torch.testing.assert_close(torch.cdist(m, m), torch.cdist(seen, seen) / unit, rtol=1e-3, atol=1e-3)


def test_only_the_map_at_a_sixteenth_is_remembered_where_the_recipe_says_so() -> None:
    maps = drawn(50, NUM_FEATURES, 1, 1)
    networks = PlaceNetworks(FeaturesConfig())
    networks.memory_axes.fit(maps[:, WIDTHS[8] :, 0, 0], whiten=False)
    m = networks.recall(maps)
    assert m.shape == (50, COARSE_DIMENSIONS, 1, 1)
    maps[:, : WIDTHS[8]] = 7
    torch.testing.assert_close(networks.recall(maps), m)
