"""The curves as TensorBoard's event files: one scalar a column and step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from anomaly.errors import UsageError
from anomaly.training.curves import HistoryRow


@contextmanager
def tensorboard_files(folder: Path) -> Iterator[Callable[[Sequence[HistoryRow]], None]]:
    """Write rows into `folder`, which shows one run: what an earlier one left there is superseded, not mixed in.

    Raises:
        UsageError: tensorboard is not installed, or the folder cannot be written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "--tensorboard needs tensorboard: pip install 'anomaly[tensorboard]', or leave the option away"
        ) from error
    try:
        writer = SummaryWriter(folder, purge_step=0)
    except OSError as error:
        raise UsageError(f"cannot write under {folder} ({error}); choose another --tensorboard") from error

    def write(rows: Sequence[HistoryRow]) -> None:
        for row in rows:
            for name, value in row.items():
                if name != "step":
                    writer.add_scalar(name, value, int(row["step"]))

    try:
        yield write
    finally:
        writer.close()
