"""What workers do in tests: functions of a module, which travel to other processes by name."""

import os
import signal

from anomaly.errors import UsageError


def two() -> int:
    return 2


def refusing() -> int:
    raise UsageError("there is no such thing")


def dying() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def own_process() -> int:
    return os.getpid()


def visible_gpus(state: int, item: int) -> str:
    return os.environ["CUDA_VISIBLE_DEVICES"]


def times(factor: int, item: int) -> int:
    return factor * item


def process_of(state: int, item: int) -> tuple[int, int, str]:
    """The process that made the state, that of this item, and the threads that it may use."""
    return state, os.getpid(), os.environ["OMP_NUM_THREADS"]


def failing(factor: int, item: int) -> int:
    """Each odd item fails in another way."""
    match item:
        case 1:
            raise UsageError("odd items cannot be used")
        case 3:
            raise FileNotFoundError(2, "No such file or directory", "item-3")
        case 5:
            raise KeyError("a fault of the program")
        case 7:
            os.kill(os.getpid(), signal.SIGKILL)
    return factor * item
