"""The places that a memory keeps."""

import torch

from anomaly.training.places.coreset import coreset
from anomaly.training.places.spoilt import CHOOSING_KINDS, TRAINING_KINDS


def test_all_rows_are_kept_where_there_are_no_more() -> None:
    places = torch.randn(7, 66, generator=torch.Generator().manual_seed(0))
    assert sorted(coreset(places, 9).tolist()) == list(range(7))


def test_each_row_is_the_farthest_from_those_before_it() -> None:
    """Three tight groups far apart: three rows are one of each."""
    noise = torch.randn(300, 66, generator=torch.Generator().manual_seed(0))
    groups = torch.arange(300) % 100 // 98  # two of a hundred lie far away
    places = noise * 0.01 + 100 * groups[:, None] + 1000 * (torch.arange(300) == 7)[:, None]
    chosen = coreset(places, 3)
    assert chosen[0] == 0
    assert chosen[1] == 7
    assert groups[chosen[2]] == 1


def test_what_chooses_taught_nothing() -> None:
    assert not set(TRAINING_KINDS) & set(CHOOSING_KINDS)
