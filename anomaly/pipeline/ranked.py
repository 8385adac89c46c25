"""What a training on several ranks asks of its options and its recipe, and where each rank computes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from pydantic import ValidationError

from anomaly.config import Recipe
from anomaly.errors import AnomalyError, LostRankError, UsageError
from anomaly.pipeline.train_options import TrainOptions
from anomaly.recipes import AUTO, merged, read_recipe, to_recipe
from anomaly.recipes.files import check_fields
from anomaly.runtime import resolve_device
from anomaly.training import Ranks, is_ranked


def check_nproc(options: TrainOptions) -> None:
    """Raises UsageError where this machine cannot train with so many processes; before they are started."""
    if options.nproc < 1:
        raise UsageError(f"--nproc is the number of processes, 1 or more; got {options.nproc}")
    if is_ranked():
        raise UsageError("torchrun has started this process as one of several; leave --nproc away")
    device = resolve_device(options.device)
    if device.type == "mps":
        raise UsageError("an Apple GPU is one device for one process; leave --nproc away, or use --device cpu")
    if ":" in options.device:
        raise UsageError(f"--device {options.device} is one device, and each process needs its own; give --device cuda")
    if device.type == "cuda" and options.nproc > torch.cuda.device_count():
        raise UsageError(
            f"--nproc {options.nproc}: there are {torch.cuda.device_count()} CUDA GPUs here, and each process needs "
            "its own; give a lower --nproc, or --device cpu"
        )
    if options.nproc > 1:
        _check_batch_that_is_known(options)


def check_batch(recipe: Recipe, num_ranks: int) -> None:
    """Raises UsageError where several ranks cannot share a batch of the recipe evenly, two images or more each."""
    batch_size = recipe.training.batch_size
    if num_ranks > 1 and (batch_size % num_ranks or batch_size < 2 * num_ranks):
        raise UsageError(
            f"training.batch_size={batch_size} cannot be divided among {num_ranks} processes: each takes the same "
            f"number of images, 2 or more; give --set training.batch_size={_nearest(batch_size, num_ranks)}, or "
            "another --nproc"
        )


def _check_batch_that_is_known(options: TrainOptions) -> None:
    """Where the images choose the recipe, they decide the batch too, unless it is set; the ranks check it then."""
    check_fields(options.overrides, "what is set on top of the recipe")
    sections = {} if options.recipe == AUTO else read_recipe(options.recipe).sections
    given = merged(sections, options.overrides).get("training", {})
    if options.recipe != AUTO or "batch_size" in given:
        check_batch(to_recipe({"training": given}), options.nproc)


def device_of_rank(name: str) -> str:
    """A device for this process alone, of those that `name` means: among GPUs that of its rank on the machine."""
    device = resolve_device(name)
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device.type == "cuda" else device.type


@contextmanager
def telling_failures(ranks: Ranks) -> Iterator[None]:
    """Where rank 0 cannot go on, the others need not wait; a bug of ours ends them by ending this process."""
    try:
        yield
    except LostRankError:
        raise
    except (AnomalyError, OSError, ValidationError) as error:
        ranks.tell({"failed": str(error)})
        raise


def _nearest(batch_size: int, num_ranks: int) -> int:
    return max(round(batch_size / num_ranks), 2) * num_ranks
