"""What rank 0 shows the process that started it; `tests/cli/test_train_nproc.py` starts ranks."""

import os
import signal
import struct
from multiprocessing import get_context
from multiprocessing.connection import Connection

from anomaly.pipeline.launch import _send, _shown
from anomaly.pipeline.train_options import TrainWatch


def send_and_be_killed_within_an_event(sender: Connection) -> None:
    _send(sender, "on_reading", 7)
    os.write(sender.fileno(), struct.pack("!i", 1000) + b"the rest of it never comes")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_rank_that_is_killed_within_an_event_keeps_nobody_waiting() -> None:
    seen: list[int] = []
    with _shown(TrainWatch(on_reading=seen.append)) as sender:
        rank = get_context("spawn").Process(target=send_and_be_killed_within_an_event, args=(sender,))
        rank.start()
        rank.join()
        assert rank.exitcode == -signal.SIGKILL
    assert seen == [7]
