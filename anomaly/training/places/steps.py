"""The steps of one network of places, and what is told of them."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, optim

from anomaly.training.curves import REPORT_EVERY, Curves, HistoryRow, OnProgress, ShouldStop, means, to_rows
from anomaly.training.optimizers import descend
from anomaly.training.ranks import ALONE, Ranks


@dataclass(frozen=True)
class StepWatch:
    """Who takes the steps, and who may end them: `should_stop` is asked every ten, with the means of the curves.

    `on_progress` is told which network learns next: a name in plain words, no steps done, and how many there are.
    """

    should_stop: ShouldStop = lambda step, row: False
    on_progress: OnProgress = lambda stage, done, total: None
    ranks: Ranks = ALONE


def take_steps(
    draw_loss: Callable[[], Tensor],
    optimizer: optim.Optimizer,
    num_steps: int,
    watch: StepWatch,
    *,
    player: str,
) -> list[HistoryRow]:
    """Descend on a loss that is drawn anew in each step; the curves, named by the `player` "d", "g" or "g_half".

    The mean of the ranks' losses is that of the whole batch.

    Raises:
        DivergedError: a loss is not finite any more.
    """
    ranks = watch.ranks
    history: list[HistoryRow] = []
    recent: list[Curves] = []
    for step in range(1, num_steps + 1):
        loss = draw_loss()
        recent.append({f"loss_{player}": loss.detach(), f"grad_{player}": descend(optimizer, loss, ranks)})
        if step % REPORT_EVERY and step != num_steps:
            continue
        history += (new := to_rows(recent, step, ranks))
        recent.clear()
        if ranks.decide(watch.should_stop, step, means(new)):
            break
    return history
