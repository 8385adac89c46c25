"""Which evidence is kept, by what spoilt normals show; what a place shows is given here, not computed."""

import pytest
import torch

from anomaly.config import FeaturesConfig, Place
from anomaly.networks.places import PlaceNetworks
from anomaly.training.places.examples import ChosenBy, PlaceExample
from anomaly.training.places.fit import choose_evidence
from anomaly.training.places.pool import where_of
from anomaly.training.places.statistics import preferred

NUM, SIDE = 40, 32
CONFIG = FeaturesConfig(places=Place.ANYWHERE)


class Shown(PlaceNetworks):
    """Novelty and doubt are what stands in the maps."""

    def evidence(self, maps: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        return maps


def examples(*, of_novelty: float, of_doubt: float) -> ChosenBy:
    """Noise; in spoilt normals a place is raised by so much."""
    noise = torch.randn(2, NUM, 1, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    noise[1, :, 0, 0, 16, 16] += of_novelty
    noise[1, :, 0, 1, 16, 16] += of_doubt
    where = where_of(noise[0, 0])
    own, spoilt = ([PlaceExample(maps, where, where) for maps in each] for each in noise)
    return ChosenBy(own, spoilt)


def chosen(of_novelty: float, of_doubt: float) -> tuple[bool, bool]:
    """Whether memory and D are kept."""
    networks = Shown(CONFIG)
    config, way = choose_evidence(networks, CONFIG, examples(of_novelty=of_novelty, of_doubt=of_doubt))
    assert way in ("place", "anywhere")
    assert ((networks.memory is not None), (networks.D is not None)) == (config.memory > 0, config.discriminator)
    PlaceNetworks(config).load_state_dict(networks.state_dict())
    return config.memory > 0, config.discriminator


@pytest.mark.parametrize(
    ("of_novelty", "of_doubt", "kept"),
    [
        (3.5, 3.5, (True, True)),  # together they tell more
        (0.0, 3.5, (False, True)),
        (3.5, 0.0, (True, False)),
        (20.0, 20.0, (True, True)),  # each alone tells all: not better than both
    ],
)
def test_what_only_blurs_the_other_is_dropped(of_novelty: float, of_doubt: float, kept: tuple[bool, bool]) -> None:
    assert chosen(of_novelty, of_doubt) == kept


def test_what_harms_little_is_kept() -> None:
    """Of 40 spoilt normals, noise beside a strong doubt costs less than one of them."""
    assert chosen(of_novelty=0.0, of_doubt=8.0) == (True, True)


def test_what_the_recipe_leaves_away_is_not_brought_back() -> None:
    config = CONFIG.model_copy(update={"discriminator": False})
    networks = Shown(config)
    assert choose_evidence(networks, config, examples(of_novelty=0.0, of_doubt=9.0))[0] == config
    assert networks.memory is not None
    assert networks.D is None


@pytest.mark.parametrize(
    ("aurocs", "expected"),
    [
        ([0.9, 0.905], 0),  # not clearly better
        ([0.9, 0.91], 1),
        ([0.9, 0.95, 0.955], 1),
        ([0.9, 0.905, 0.912], 2),
        ([1.0, 1.0], 0),
    ],
)
def test_a_later_choice_must_be_clearly_better(aurocs: list[float], expected: int) -> None:
    assert preferred(aurocs, 100) == expected


def test_what_one_of_few_spoilt_normals_could_change_chooses_nothing() -> None:
    assert preferred([0.5, 0.75], 4) == 1
    assert preferred([0.5, 0.75], 3) == 0
