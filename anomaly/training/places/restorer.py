"""E and G learn to restore φ's maps of normal pictures, also from the same with drawn defects; there is no game.

A discriminator of restored maps was tried, and added nothing (docs/experiments.md).
Shapes: coarse maps (n, num_features, h/16, w/16), of pictures at half their size (n, num_features, h/32, w/32), half
precision; pairs (n, 2, num_features, …), the second of each with drawn defects.
"""

from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from anomaly.config import TrainingConfig
from anomaly.errors import TrainingError
from anomaly.networks.restorer import MapRestorer
from anomaly.torch_settings import own_draws
from anomaly.training.curves import HistoryRow
from anomaly.training.places.steps import StepWatch, take_steps
from anomaly.training.ranks import Ranks, all_tensors
from anomaly.training.whole_batch import see_whole_batches

_BATCH, _SPOILT = 16, 8  # pictures, and those of them with drawn defects
_RATE, _BETAS = 5e-4, (0.5, 0.999)


def train_restorer(
    restorer: MapRestorer,
    coarse: Tensor,
    pairs: Tensor,
    training: TrainingConfig,
    watch: StepWatch = StepWatch(),
    player: str = "g",
) -> list[HistoryRow]:
    """Train a restorer, which knows its centre and spread, from the beginning; its curves, named by the `player`.

    It is in evaluation mode then.
    Where there are several `ranks`, rank 0 calls this, and the others `follow_restorer`. All draw the same; each has
    its own pictures of the batch.

    Raises:
        DivergedError: a loss is not finite any more.
    """
    ranks = watch.ranks
    if ranks.leads:
        ranks.tell(
            {"train_restorer": {"training": training.model_dump(mode="json"), "shapes": [coarse.shape, pairs.shape]}}
        )
    ranks.broadcast_([coarse, pairs])
    with own_draws(coarse.device):
        torch.manual_seed(training.seed)
        learner = MapRestorer(coarse.shape[1]).train()
        learner.centre, learner.spread = restorer.centre, restorer.spread
        ranks.broadcast_(all_tensors(learner))
        see_whole_batches(learner, _BATCH, ranks)
        optimizer = torch.optim.Adam(learner.parameters(), lr=_RATE, betas=_BETAS)

        def draw_loss() -> Tensor:
            normal = coarse[torch.randint(len(coarse), (_BATCH - _SPOILT,))]
            wanted, spoilt = pairs[torch.randint(len(pairs), (_SPOILT,))].unbind(1)
            dtype = learner.centre.dtype
            seen, wanted = (ranks.own(torch.cat([normal, each])).to(dtype) for each in (spoilt, wanted))
            return ranks.size / _BATCH * learner.distance(seen, wanted).mean(dim=(1, 2)).sum()

        history = take_steps(draw_loss, optimizer, training.steps, watch, player=player)
    restorer.load_state_dict(learner.state_dict())
    restorer.eval()
    return history


def follow_restorer(task: dict[str, Any], ranks: Ranks) -> None:
    """What another rank than 0 does of `train_restorer`, which has told this task."""
    coarse, pairs = (torch.empty(*shape, dtype=torch.float16) for shape in task["shapes"])
    training = TrainingConfig.model_validate(task["training"])
    with suppress(TrainingError):  # rank 0 tells it
        restorer = MapRestorer(coarse.shape[1])
        train_restorer(restorer, coarse, pairs, training, StepWatch(ranks=ranks))
