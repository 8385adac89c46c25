"""What ranks other than 0 do: they wait for what rank 0 tells, and take part in the steps of its training.

They read no images and write no files: they see the file of pixels that rank 0 made, and on resuming its checkpoint.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.config import NetworkPlan, TrainingConfig
from anomaly.errors import TrainingError
from anomaly.training.loop import run_steps
from anomaly.training.places.discriminator import follow_discriminator
from anomaly.training.places.restorer import follow_restorer
from anomaly.training.ranks import Ranks
from anomaly.training.state import load_checkpoint, new_state


def tell_start(
    ranks: Ranks,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    plan: NetworkPlan,
    config: TrainingConfig,
    *,
    checkpoint: Path | None,
    run: str,
) -> None:
    """Rank 0 tells the others what it is about to train, and which checkpoint it has loaded, if any.

    Raises:
        TrainingError: another rank cannot see these files.
    """
    if ranks.size == 1:
        return
    path = _file_of(pixels)
    start = {
        "pixels": str(path.resolve()),
        "shape": pixels.shape,
        "rows": rows.tolist(),
        "plan": plan.model_dump(mode="json"),
        "config": config.model_dump(mode="json"),
        "checkpoint": checkpoint and str(checkpoint.resolve()),
        "run": run,
    }
    ranks.tell({"start": start})
    if not ranks.all(True):
        raise TrainingError(
            f"not all machines see {path.resolve()}; choose an --out on a file system that all of them share, under "
            "the same name"
        )


def follow(ranks: Ranks, device: torch.device) -> str:
    """Take part in what rank 0 trains, until it tells that all is done: what it says then.

    Raises:
        TrainingError: rank 0 has failed; its message.
    """
    while True:
        message = ranks.hear()
        if "failed" in message:
            raise TrainingError(message["failed"])
        if "done" in message:
            done: str = message["done"]
            return done
        if "train_discriminator" in message:
            follow_discriminator(message["train_discriminator"], ranks)
        elif "train_restorer" in message:
            follow_restorer(message["train_restorer"], ranks)
        else:
            _take_part(message["start"], ranks, device)


def _take_part(start: dict[str, Any], ranks: Ranks, device: torch.device) -> None:
    path, shape = Path(start["pixels"]), tuple(start["shape"])
    checkpoint = Path(start["checkpoint"]) if start["checkpoint"] else None
    sees = path.is_file() and path.stat().st_size == np.prod(shape) and (checkpoint is None or checkpoint.is_file())
    if not ranks.all(bool(sees)):
        return  # rank 0 tells why
    config = TrainingConfig.model_validate(start["config"])
    state = new_state(NetworkPlan.model_validate(start["plan"]), config, device, ranks=ranks)
    if checkpoint is not None:
        load_checkpoint(state, checkpoint, run=start["run"])
    pixels: NDArray[np.uint8] = np.memmap(path, np.uint8, mode="r", shape=shape)
    try:
        run_steps(state, pixels, np.array(start["rows"], np.int64), config)
    except TrainingError:
        return  # it diverged, or rank 0 could not go on: rank 0 tells


def _file_of(pixels: NDArray[np.uint8]) -> Path:
    found: object = pixels
    while not isinstance(found, np.memmap):
        assert isinstance(found, np.ndarray), "several ranks need a memory-mapped file of pixels"
        found = found.base
    assert found.filename is not None
    return Path(found.filename)
