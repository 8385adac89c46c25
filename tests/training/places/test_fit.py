"""Which evidence is kept, by what spoilt normals show; what a place shows is given here, not computed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomaly.config import FeaturesConfig, Method, Place, TrainingConfig
from anomaly.data import NormalSplit
from anomaly.networks.aligned_memory import NUM_FINE
from anomaly.networks.place_statistics import PlaceStatistics
from anomaly.networks.places import NUM_FEATURES, PlaceNetworks
from anomaly.training.places.examples import ChosenBy, PlaceExample
from anomaly.training.places.fit import choose_evidence, fit_places
from anomaly.training.places.pool import Extract, where_of
from anomaly.training.places.statistics import auroc_of, halves_of, measured, preferred

NUM, SIDE = 40, 32
SPLIT = NormalSplit(list(range(16)), list(range(16, 24)), [])
CONFIG = FeaturesConfig(places=Place.ANYWHERE, restorer=True)
FOUR = CONFIG.model_copy(update={"half_restorer": True})
KINDS = ("memory", "D", "restorer", "half_restorer")


class Shown(PlaceNetworks):
    """The evidence is what stands in the maps."""

    def evidence(self, maps: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        return maps


def examples(*raised: float, num: int = NUM, seed: int = 0) -> ChosenBy:
    """Noise; in spoilt normals a place is raised by so much, in each kind of evidence."""
    noise = torch.randn(2, num, 1, len(raised), SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    noise[1, :, 0, :, 16, 16] += torch.tensor(raised)
    where = where_of(noise[0, 0])
    own, spoilt = ([PlaceExample(maps, where, where) for maps in each] for each in noise)
    return ChosenBy(own, spoilt, halves_of(range(num)))


def chosen(*raised: float, config: FeaturesConfig = CONFIG, num: int = NUM) -> str:
    """What is kept."""
    networks = Shown(config)
    config, way = choose_evidence(networks, config, examples(*raised, num=num))
    assert way in ("place", "anywhere")
    kept = [getattr(networks, kind) is not None for kind in KINDS]
    assert kept == [config.memory > 0, config.discriminator, config.restorer, config.half_restorer]
    networks.statistics = PlaceStatistics(4 if config.half_restorer else 3 if config.restorer else 2)
    PlaceNetworks(config).load_state_dict(networks.state_dict())
    return " ".join(kind for kind, is_kept in zip(KINDS, kept, strict=True) if is_kept)


@pytest.mark.parametrize(
    ("raised", "kept"),
    [
        ((3.5, 3.5, 3.5), "memory D restorer"),  # together they tell more
        ((0.0, 3.5, 3.5), "D restorer"),
        ((3.5, 0.0, 3.5), "memory restorer"),
        ((3.5, 3.5, 0.0), "memory D"),
        ((0.0, 3.5, 0.0), "D"),
        ((3.5, 0.0, 0.0), "memory"),
        ((0.0, 0.0, 3.5), "restorer"),
        ((20.0, 20.0, 20.0), "memory D restorer"),  # each alone tells all: not better than all
        ((20.0, 0.0, 20.0), "memory D restorer"),
    ],
)
def test_what_only_blurs_the_others_is_dropped(raised: tuple[float, ...], kept: str) -> None:
    assert chosen(*raised) == kept


@pytest.mark.parametrize(
    ("raised", "kept"),
    [((3.5, 3.5), "memory D"), ((0.0, 3.5), "D"), ((3.5, 0.0), "memory"), ((20.0, 20.0), "memory D")],
)
def test_two_kinds_are_chosen_from_alike(raised: tuple[float, ...], kept: str) -> None:
    assert chosen(*raised, config=CONFIG.model_copy(update={"restorer": False})) == kept


@pytest.mark.parametrize(
    ("raised", "kept"),
    [
        ((3.5, 3.5, 3.5, 3.5), "memory D restorer half_restorer"),
        ((3.0, 3.0, 3.0, 0.0), "memory D restorer"),
        ((0.0, 0.0, 3.5, 3.5), "restorer half_restorer"),
        ((3.5, 0.0, 0.0, 3.5), "memory half_restorer"),
        ((0.0, 0.0, 0.0, 3.5), "half_restorer"),
    ],
)
def test_of_four_kinds_any_can_be_dropped(raised: tuple[float, ...], kept: str) -> None:
    assert chosen(*raised, config=FOUR) == kept


def test_what_harms_little_is_kept() -> None:
    """Of 40 spoilt normals, noise beside what is strong costs less than one of them."""
    assert chosen(0.0, 8.0, 8.0) == "memory D restorer"
    assert chosen(0.0, 8.0, config=CONFIG.model_copy(update={"restorer": False})) == "memory D"


def test_each_kind_that_is_dropped_must_be_worth_a_normal() -> None:
    """Of 7 normals D alone tells more than all kinds by what one of them could change, but not by what two could."""
    seven = examples(0.0, 4.5, 0.0, num=7, seed=6)
    own, spoilt = ([each.maps[0] for each in of] for of in (seven.own, seven.spoilt))
    told = [
        measured([each[kinds] for each in own], [each[kinds] for each in spoilt], seven.where, seven.halves)[0]
        for kinds in ([0, 1, 2], [1])
    ]
    assert 1 / 7 < told[1] - told[0] < 2 / 7
    networks = Shown(CONFIG)
    assert choose_evidence(networks, CONFIG, seven)[0] == CONFIG


def test_what_the_recipe_leaves_away_is_not_brought_back() -> None:
    assert chosen(3.5, 9.0, 3.5, config=CONFIG.model_copy(update={"discriminator": False})) == "memory restorer"


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


def noise(half_restorer: bool) -> Extract:
    """Maps of noise, and as strong where the picture is spoilt, in which none differs clearly."""

    def extract(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        shape = NUM_FEATURES * (1 + half_restorer) + NUM_FINE, 16, 16
        return np.random.default_rng(int(image.sum())).normal(size=shape).astype(np.float32)

    return extract


@pytest.mark.parametrize("half_restorer", [False, True])
def test_a_time_limit_is_told_by_what_had_least_of_it(half_restorer: bool) -> None:
    """The restorers learn last; the curves stand side by side."""
    rng, steps = np.random.default_rng(0), TrainingConfig(method=Method.FEATURES, steps=30)
    pixels = rng.integers(0, 256, (24, 3, 128, 128), np.uint8)
    config = FeaturesConfig(
        memory=16, places=Place.ANYWHERE, sigma=1.0, restorer=True, half_restorer=half_restorer, standardise="place"
    )
    trained_by: list[str] = []

    def should_stop(step: int, row: dict[str, float]) -> bool:
        trained_by.append(next(name for name in row if name.startswith("loss")))
        return trained_by.count("loss_g") == 2

    networks = PlaceNetworks(config)
    trained = fit_places(pixels, SPLIT, networks, config, steps, extract=noise(half_restorer), should_stop=should_stop)
    assert trained_by == ["loss_d"] * 3 + ["loss_g"] * 2 + ["loss_g_half"] * half_restorer
    of_d, of_g, of_half = ({f"loss_{player}", f"grad_{player}"} for player in ("d", "g", "g_half"))
    first = of_d | of_g | of_half if half_restorer else of_d | of_g
    assert [set(trained.history[step - 1]) - {"step"} for step in (10, 20, 30)] == [first, of_d | of_g, of_d]
    of_kept = [30 * trained.config.discriminator, 20 * trained.config.restorer, 10 * trained.config.half_restorer]
    assert trained.num_steps == min(filter(None, of_kept), default=30)


@pytest.mark.parametrize("restorers", [0, 1, 2])
def test_a_watcher_is_told_each_picture_and_the_name_of_each_network(restorers: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 3, 128, 128), np.uint8)
    config = FeaturesConfig(
        memory=16, places=Place.ANYWHERE, spoilt=0.5, restorer=restorers > 0, half_restorer=restorers > 1
    )
    told: list[tuple[str, int, int | None]] = []

    def should_stop(step: int, row: dict[str, float]) -> bool:
        stage, _, total = told[-1]
        told.append((stage, step, total))
        return False

    fit_places(
        pixels,
        SPLIT,
        PlaceNetworks(config),
        config,
        TrainingConfig(method=Method.FEATURES, steps=20),
        extract=noise(restorers > 1),
        should_stop=should_stop,
        on_progress=lambda *progress: told.append(progress),
    )
    num_pictures = 16 + 8 * 2 + 16 + (2 * 16 if restorers else 0)  # the pool, chosen by, places, pairs
    networks = [f"discriminator, sigma {sigma}" for sigma in ("0.5", "1", "2")]
    networks += ["restorer", "restorer at half size"][:restorers]
    assert told == [
        *(("Computing maps", done, num_pictures) for done in range(num_pictures + 1)),
        *((f"Training {network}", step, 20) for network in networks for step in (0, 10, 20)),
        ("Choosing a memory", 0, 1),
        ("Choosing a memory", 1, 1),
        ("Choosing what is kept", 0, None),
        *(("Measuring normals", done, 8) for done in range(9)),
    ]


@given(st.lists(st.integers(0, 9), min_size=2, max_size=40))
def test_no_part_is_in_both_halves(parts: list[int]) -> None:
    halves = halves_of(parts)
    assert set(halves) == {0, 1}
    if len(set(parts)) > 1:
        assert len(set(zip(parts, halves, strict=True))) == len(set(parts))
        largest = max(map(parts.count, parts))
        assert abs(2 * sum(halves) - len(halves)) <= largest
    assert halves_of(range(len(parts))) == [number % 2 for number in range(len(parts))]


def test_what_only_tells_known_parts_is_no_reason_to_measure_by_place() -> None:
    """Each part shows something of its own at some place, so that only statistics of the same part know it."""
    random = torch.Generator().manual_seed(0)
    parts = [number // 10 for number in range(NUM)]
    marks = 20 * (torch.rand(4, 1, 1, SIDE, SIDE, generator=random) < 0.003)
    noise = torch.randn(2, NUM, 1, 1, SIDE, SIDE, generator=random) + marks[parts]
    noise[1, :, 0, 0, 16, 16] += 12
    where = where_of(noise[0, 0])
    own, spoilt = ([maps[0] for maps in each] for each in noise)
    by_place = [
        auroc_of(own, spoilt, [where] * NUM, halves, "place", by_half=False)
        for halves in (halves_of(range(NUM)), halves_of(parts))
    ]
    assert by_place[0] > 0.9
    assert by_place[1] < 0.6
