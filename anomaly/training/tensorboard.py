"""The curves as TensorBoard's event files: one scalar for each column and step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anomaly.bundle import check_outside_versions
from anomaly.extras import require
from anomaly.files import storing
from anomaly.locks import writing_folder
from anomaly.training.curves import HistoryRow

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@contextmanager
def tensorboard_files(folder: Path | None) -> Iterator[Callable[[Sequence[HistoryRow]], None]]:
    """Write rows into `folder`, which shows one run: what an earlier one left there is superseded, not mixed in.

    Without a folder nothing is written.

    Raises:
        UsageError: tensorboard is not installed, or the folder lies in a version of a model.
        InUseError: another process writes curves there.  StorageError: the folder cannot be written.
    """
    if folder is None:
        yield lambda rows: None
        return
    require("--tensorboard", "tensorboard", "tensorboard", instead="leave the option away")
    from torch.utils.tensorboard import SummaryWriter

    check_outside_versions(folder)
    with writing_folder(folder, "the curves"):
        with storing("the curves", folder, instead="choose another --tensorboard"):
            writer = SummaryWriter(folder, purge_step=0)
        try:
            yield partial(_write, writer)
        finally:
            writer.close()


def _write(writer: "SummaryWriter", rows: Sequence[HistoryRow]) -> None:
    for row in rows:
        for name, value in row.items():
            if name != "step":
                writer.add_scalar(name, value, int(row["step"]))
