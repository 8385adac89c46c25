"""E and G learn to restore φ's maps of normal pictures; there is no game.

A discriminator of restored maps was tried, and added nothing (docs/experiments.md).
Shapes: coarse maps (n, num_features, h/16, w/16), half precision.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from anomaly.config import TrainingConfig
from anomaly.errors import TrainingError
from anomaly.networks.restorer import MapRestorer
from anomaly.training.curves import HistoryRow
from anomaly.training.places.steps import take_steps
from anomaly.training.ranks import ALONE, Ranks, all_tensors
from anomaly.training.whole_batch import see_whole_batches

_BATCH = 16  # pictures
_RATE, _BETAS = 5e-4, (0.5, 0.999)


def teach_restorer(
    restorer: MapRestorer,
    coarse: Tensor,
    training: TrainingConfig,
    *,
    should_stop: Callable[[int, HistoryRow], bool],
    ranks: Ranks = ALONE,
) -> list[HistoryRow]:
    """Train a restorer, which knows its centre and spread, from the beginning; the curves.

    Where there are several `ranks`, rank 0 calls this, and the others `restore_along`. All draw the same; each has its
    own pictures of the batch.

    Raises:
        DivergedError: a loss is not finite any more.
    """
    if ranks.leads:
        ranks.tell({"restore": {"training": training.model_dump(mode="json"), "shape": coarse.shape}})
    ranks.broadcast_([coarse])
    num = max(_BATCH, ranks.size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        taught = MapRestorer(coarse.shape[1]).train()
        taught.centre, taught.spread = restorer.centre, restorer.spread
        ranks.broadcast_(all_tensors(taught))
        see_whole_batches(taught, num, ranks)
        optimizer = torch.optim.Adam(taught.parameters(), lr=_RATE, betas=_BETAS)

        def draw_loss() -> Tensor:
            own = ranks.own(coarse[torch.randint(len(coarse), (num,))]).to(taught.centre.dtype)
            return ranks.size / num * taught.distance(own).mean(dim=(1, 2)).sum()

        history = take_steps(draw_loss, optimizer, training.steps, player="g", should_stop=should_stop, ranks=ranks)
    restorer.load_state_dict(taught.state_dict())
    return history


def restore_along(task: dict[str, Any], ranks: Ranks) -> None:
    """What another rank than 0 does of `teach_restorer`, which has told this task."""
    coarse = torch.empty(*task["shape"], dtype=torch.float16)
    training = TrainingConfig.model_validate(task["training"])
    with suppress(TrainingError):  # rank 0 tells it
        restorer = MapRestorer(coarse.shape[1])
        teach_restorer(restorer, coarse, training, should_stop=lambda *_: False, ranks=ranks)
