"""Learning from the maps of a pretrained network: main axes, D_patch, restorers, and a memory of normal places.

Where the recipe says "auto", the choice is made here, by normals of the *select* set and the same spoilt by kinds of
defects that trained nothing: what tells them apart best. The statistics of half of these normals are used to judge the
other half; no part is in both halves.
Shapes: pixels (c, h, w) uint8 each; φ's maps (num_features, h/8, w/8); places (n, num_features) or, as vectors, (n,
dimensions); where (n, 2), as shares of height and width; evidence (k, h/8, w/8).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, zip_longest

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.config import FeaturesConfig, Place, TrainingConfig
from anomaly.data import NormalSplit, PixelsOfImages
from anomaly.networks.place_discriminator import PlaceDiscriminator
from anomaly.networks.places import MainAxes, PlaceNetworks
from anomaly.networks.restorer import MapRestorer
from anomaly.training.curves import REPORT_EVERY, HistoryRow, OnProgress, OnRows, ShouldStop, means
from anomaly.training.places.discriminator import train_discriminator
from anomaly.training.places.examples import ChosenBy, Look, PlaceExample, evidence_of
from anomaly.training.places.material import Material, see, telling
from anomaly.training.places.memory import remember, vectors_of
from anomaly.training.places.pool import Extract
from anomaly.training.places.restorer import train_restorer
from anomaly.training.places.statistics import WAYS, Way, clearly_better, measured, place_statistics
from anomaly.training.places.steps import StepWatch
from anomaly.training.ranks import ALONE, Ranks

SIGMAS = (0.5, 1.0, 2.0)
NOVELTY, DOUBT, RESIDUAL, RESIDUAL_HALF = range(4)  # of evidence
_NETWORKS = {NOVELTY: "memory", DOUBT: "D", RESIDUAL: "restorer", RESIDUAL_HALF: "half_restorer"}
_FIELDS = _NETWORKS | {DOUBT: "discriminator"}  # of the recipe
_PLAYERS = {RESIDUAL: "g", RESIDUAL_HALF: "g_half"}
_TOLD = {RESIDUAL: "restorer", RESIDUAL_HALF: "restorer at half size"}
_SPOILT_ALONE, _FAR = 0.9, 10.0  # share of the negatives that are spoilt, and how far from normals the others lie


@dataclass(frozen=True)
class PlacesTrained:
    """The networks in evaluation mode, the choices made, the curves of each that learnt, and the steps done."""

    networks: PlaceNetworks
    config: FeaturesConfig
    runs: list[list[HistoryRow]] = field(repr=False)
    num_steps: int

    @property
    def history(self) -> list[HistoryRow]:
        """The curves of networks that learnt one after the other, as if at once."""
        return _merged(zip_longest(*self.runs, fillvalue={}))

    @property
    def last(self) -> HistoryRow:
        """The means of the curves over their last steps."""
        return _merged([[means(run[-REPORT_EVERY:]) for run in self.runs]])[0] | {"step": self.num_steps}

    @property
    def kept_step(self) -> int:
        """The last."""
        return self.num_steps


def fit_places(
    pixels: PixelsOfImages,
    split: NormalSplit,
    networks: PlaceNetworks,
    config: FeaturesConfig,
    training: TrainingConfig,
    *,
    extract: Extract,
    reference: NDArray[np.float32] | None = None,
    should_stop: ShouldStop = lambda step, row: False,
    on_rows: OnRows = lambda rows: None,
    on_progress: OnProgress = lambda stage, done, total: None,
    ranks: Ranks = ALONE,
    has_region: bool = False,
) -> PlacesTrained:
    """Fill `networks`, which have φ's weights, from images of any shapes; with `has_region`, grey outside of one.

    With a `reference` (`find_reference`) a memory of pictures aligned with it may be chosen; `extract` then gives the
    points of each place, as it does where the config has `points`.
    `on_progress(stage, done, total)` is told each stage in plain words when it begins, with a total of None where it
    counts nothing, and each picture whose maps are computed; the steps of each network are told by `should_stop`.

    Raises:
        DivergedError: a loss is not finite any more.
    """
    restorers = _restorers(networks)
    material = see(
        pixels,
        split,
        networks,
        list(restorers.values()),
        config,
        training.seed,
        extract=extract,
        reference=reference,
        on_progress=on_progress,
        has_region=has_region,
    )
    pool, chosen_by = material.pool, material.chosen_by
    if config.points and config.places == "auto" and pool.aligned is None and networks.D is not None:
        # a memory of places that are not aligned says nothing of a defect of a few pixels, which is less than a place
        config = config.model_copy(update={"memory": 0, "places": Place.ANYWHERE})
    if not (config.memory or restorers) and config.spoilt == 1:  # D is alone, and would know drawn defects only
        config = config.model_copy(update={"spoilt": _SPOILT_ALONE, "sigma": _FAR})
    watch = StepWatch(should_stop, on_progress, ranks)  # a time limit counts from the first step on
    runs: dict[int, list[HistoryRow]] = {}
    if networks.D is not None:
        runs[DOUBT], config = _choose_discriminator(networks, material, config, training, watch)
    for (kind, restorer), coarse, pairs in zip(restorers.items(), pool.coarse, material.pairs, strict=True):
        restorer.standardise_by(pool.places)
        watch.on_progress(f"Training {_TOLD[kind]}", 0, training.steps)
        runs[kind] = train_restorer(restorer, coarse, pairs, training, watch, _PLAYERS[kind])
    if config.memory:
        told = partial(on_progress, "Choosing a memory")
        networks.memory, config = remember(pool, networks, config, chosen_by, told)
        chosen_by = chosen_by.seen_by(networks.memory)
    on_progress("Choosing what is kept", 0, None)
    config, way = choose_evidence(networks, config, chosen_by)
    kept = [run for kind, run in runs.items() if getattr(config, _FIELDS[kind])]
    look = Look(telling(extract, "Measuring normals", len(split.select), on_progress), material.reference)
    evidence = [evidence_of(networks, look(pixels[row]).seen_by(networks.memory)) for row in split.select]
    networks.statistics = place_statistics(evidence, way)
    num_steps = min(map(len, kept), default=training.steps)  # of a time limit the first to learn had more
    trained = PlacesTrained(
        networks.eval(), config.model_copy(update={"standardise": way}), list(runs.values()), num_steps
    )
    on_rows(trained.history)
    return trained


def _choose_discriminator(
    networks: PlaceNetworks,
    material: Material,
    config: FeaturesConfig,
    training: TrainingConfig,
    watch: StepWatch,
) -> tuple[list[HistoryRow], FeaturesConfig]:
    """D of the sigma that tells spoilt normals best; its curves."""
    normal = vectors_of(networks.axes, material.pool.places)
    aurocs: list[float] = []
    history: list[HistoryRow] = []
    for sigma in _sigmas(config):
        watch.on_progress(f"Training discriminator, sigma {sigma:g}", 0, training.steps)
        D, curves = train_discriminator(normal, material.spoilt_places, sigma, config.spoilt, training, watch)
        aurocs.append(material.chosen_by.auroc(partial(_doubt, D, networks.axes)))
        if aurocs[-1] == max(aurocs):
            networks.D, history, chosen = D, curves, sigma
    return history, config.model_copy(update={"sigma": chosen})


def _merged(rows: Iterable[Sequence[HistoryRow]]) -> list[HistoryRow]:
    """Rows of each step as one."""
    return [{name: row[name] for row in of_step for name in row} for of_step in rows]


def choose_evidence(networks: PlaceNetworks, config: FeaturesConfig, chosen_by: ChosenBy) -> tuple[FeaturesConfig, Way]:
    """Which of memory, D and restorers are kept, and the way that what they show is measured.

    All are, unless spoilt normals are told better by some of them: clearly so for each that is dropped.
    """
    ways = WAYS if config.standardise == "auto" else (config.standardise,)
    own, spoilt = ([evidence_of(networks, each) for each in examples] for examples in (chosen_by.own, chosen_by.spoilt))
    there = [kind for kind, name in _NETWORKS.items() if getattr(networks, name) is not None]
    choices = [list(kept) for num in range(len(there), 0, -1) for kept in combinations(there, num)]
    worths, found = [], []
    for kept in choices:
        of_kinds = [[each[kept] for each in examples] for examples in (own, spoilt)]
        by_half = len(kept) > 1 and RESIDUAL_HALF in kept
        auroc, way = measured(of_kinds[0], of_kinds[1], chosen_by.where, chosen_by.halves, ways, by_half=by_half)
        worths.append(round(auroc - clearly_better(len(own)) * (len(there) - len(kept)), 9))
        found.append(way)
    best = max(range(len(choices)), key=lambda number: (worths[number], number))
    dropped = set(there) - set(choices[best])
    for kind in dropped:
        setattr(networks, _NETWORKS[kind], None)
    return config.model_copy(update={_FIELDS[kind]: 0 if kind == NOVELTY else False for kind in dropped}), found[best]


def _restorers(networks: PlaceNetworks) -> dict[int, MapRestorer]:
    """Those that there are, by the kind of evidence."""
    of_kind = {kind: getattr(networks, _NETWORKS[kind]) for kind in _PLAYERS}
    return {kind: restorer for kind, restorer in of_kind.items() if restorer is not None}


@torch.no_grad()
def _doubt(D: PlaceDiscriminator, axes: MainAxes, example: PlaceExample) -> Tensor:
    doubt: Tensor = -D(axes(example.maps))
    return doubt


def _sigmas(config: FeaturesConfig) -> Sequence[float]:
    """Those to choose from; one does where no negative is a place that was moved."""
    if config.sigma != "auto":
        return (config.sigma,)
    return SIGMAS if config.spoilt < 1 else SIGMAS[:1]
