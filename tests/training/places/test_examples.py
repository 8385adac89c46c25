"""What networks show of an example; of a large one a few rows at a time."""

import pytest
import torch

from anomaly.config import FeaturesConfig, Place
from anomaly.networks.aligned_memory import NUM_FINE
from anomaly.networks.places import NUM_FEATURES, CellMemory, PlaceMemory, PlaceNetworks
from anomaly.training.places import examples
from anomaly.training.places.examples import PlaceExample, evidence_of
from anomaly.training.places.pool import where_of

HEIGHT, WIDTH = 26, 10


def networks(place: Place, **fields: object) -> PlaceNetworks:
    """With a memory of that kind, of random numbers."""
    torch.manual_seed(0)
    config = FeaturesConfig.model_validate({"places": place, "memory": 50, "memory_per_place": 5, **fields})
    made = PlaceNetworks(config).eval().requires_grad_(False)
    made.memory_axes.axes = torch.randn_like(made.memory_axes.axes)
    made.axes.axes = torch.randn_like(made.axes.axes)
    for name, values in made.memory.named_buffers() if made.memory is not None else ():
        if values.is_floating_point() and values.dim():
            values.copy_(torch.rand_like(values, dtype=torch.float32) + (name != "places"))
    return made


def example() -> PlaceExample:
    maps = torch.randn(1, NUM_FEATURES + NUM_FINE, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    where = where_of(maps)
    return PlaceExample(maps, where, where)


@pytest.mark.parametrize(
    ("place", "fields", "kind"),
    [
        (Place.ANYWHERE, {}, PlaceMemory),
        (Place.NEAR, {}, PlaceMemory),
        (Place.SAME, {"memory_cells": 16}, CellMemory),
        (Place.SAME, {"memory_cells": 32}, CellMemory),
    ],
)
@pytest.mark.parametrize("num_rows", [1, 2, 7, 24])
def test_rows_at_a_time_show_what_all_show_at_once(
    place: Place, fields: dict[str, object], kind: type, num_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, shown = networks(place, **fields), example()
    assert isinstance(made.memory, kind)
    whole = evidence_of(made, shown)
    assert whole.shape == (2, HEIGHT, WIDTH)
    assert (whole.flatten(1).std(dim=1) > 0).all()
    seen: list[int] = []
    judge = made.evidence

    def count(maps: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        seen.append(maps.shape[2])
        return judge(maps, where)

    monkeypatch.setattr(examples, "MAX_PLACES", num_rows * WIDTH)
    monkeypatch.setattr(made, "evidence", count)
    torch.testing.assert_close(evidence_of(made, shown), whole, rtol=1e-4, atol=1e-4)
    assert max(seen) <= max(num_rows, 2)
    assert sum(seen) == HEIGHT
    assert all(rows % 2 == 0 for rows in seen)


@pytest.mark.parametrize(("place", "fields"), [(Place.ANYWHERE, {"restorer": True}), (Place.ALIGNED, {"points": True})])
def test_where_places_see_others_all_are_judged_at_once(
    place: Place, fields: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = networks(place, **fields)
    maps = torch.randn(1, NUM_FEATURES + NUM_FINE, 16, 16, generator=torch.Generator().manual_seed(1))
    shown = PlaceExample(maps, where_of(maps), where_of(maps))
    whole = evidence_of(made, shown)
    monkeypatch.setattr(examples, "MAX_PLACES", 64)
    torch.testing.assert_close(evidence_of(made, shown), whole, rtol=0, atol=0)
