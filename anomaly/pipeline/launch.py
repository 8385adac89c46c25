"""Starts the processes that train one model together on this machine, by torchrun's own agent.

    this process (agent)  ──starts──►  rank 0, rank 1, …, each calls `train` as if torchrun had started it
            ◄── what rank 0 shows its watch, over a pipe; at the end the bundle or the error ───┘

Nothing is restarted: a training that was ended goes on with --resume. What the processes print goes to files, so that
a mistake is told once, and here.
"""

import logging
import os
import signal
import sys
import threading
import uuid
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from anomaly.bundle import Bundle
from anomaly.errors import AnomalyError, LostRankError
from anomaly.pipeline.train_options import TrainOptions, TrainWatch

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError


class _HasBundle(Protocol):
    @property
    def bundle(self) -> Bundle: ...


Train = Callable[[TrainOptions, TrainWatch], _HasBundle]


def launch(train: Train, options: TrainOptions, watch: TrainWatch) -> Path:
    """The bundle that `options.nproc` processes have trained; `watch` is called in a thread of this process.

    Raises:
        AnomalyError, OSError, ValidationError: what rank 0 raised.
        LostRankError: one of the processes was killed, or has failed in a way that is no user's mistake.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with TemporaryDirectory(prefix="anomaly-ranks-") as folder, _quiet(), _own_signals(), _shown(watch) as sender:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=options.nproc,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="127.0.0.1:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(folder, redirects=Std.ALL),
            shutdown_timeout=5,
        )
        try:
            results = elastic_launch(config, _work)(train, replace(options, nproc=1), sender)
        except ChildFailedError as error:
            raise LostRankError(_why(error, options.nproc, Path(folder))) from error
        except SignalException as error:
            if error.sigval is signal.SIGINT:
                raise KeyboardInterrupt from error
            raise SystemExit(128 + error.sigval) from error
    result: Path | Exception = results[0]
    if isinstance(result, Exception):
        raise result
    return result


def _work(train: Train, options: TrainOptions, sender: Connection) -> Path | Exception | None:
    """One rank."""
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all ranks are on this machine
    leads = os.environ["RANK"] == "0"
    watch = TrainWatch()
    if leads:
        watch = TrainWatch(**{field.name: partial(_send, sender, field.name) for field in fields(TrainWatch)})
    try:
        bundle_path = train(options, watch).bundle.ref.path
    except LostRankError:
        raise  # the agent knows which rank that was
    except (AnomalyError, OSError, ValidationError) as error:
        return error if leads else None
    return bundle_path


def _send(sender: Connection, name: str, *arguments: object) -> None:
    sender.send((name, arguments))


@contextmanager
def _shown(watch: TrainWatch) -> Iterator[Connection]:
    """Where rank 0 sends what `watch` is called with, until the block ends and no other process can send.

    A pipe and no queue: one process writes, so it needs no lock, which a process that was killed would keep for ever.
    """
    receiver, sender = get_context("spawn").Pipe(duplex=False)
    errors: list[Exception] = []

    def show() -> None:
        for name, arguments in _received(receiver):  # to the end, or rank 0 would wait for room in the pipe
            try:
                if not errors:
                    getattr(watch, name)(*arguments)
            except Exception as error:  # what a caller's watch raises ends the training, as it does in one process
                errors.append(error)
                interrupt_main()

    thread = threading.Thread(target=show, name="watch of rank 0", daemon=True)
    thread.start()
    try:
        yield sender
    finally:
        sender.close()
        thread.join()
        receiver.close()
        if errors:
            raise errors[0]


def _received(receiver: Connection) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What `_send` has sent, until all that could send have ended. Half of an event is none: its sender was killed."""
    with suppress(EOFError, OSError):
        while True:
            yield receiver.recv()


@contextmanager
def _quiet() -> Iterator[None]:
    """The agent logs processes and signals, which tell a user nothing; PyTorch's loggers have handlers of their own."""
    found = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.partition(".")[0] == "torch"]
    before = [(log, log.handlers, log.propagate) for log in found if log.handlers or log.name == "torch"]
    for log, _, _ in before:
        log.handlers, log.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        for log, handlers, propagates in before:
            log.handlers, log.propagate = handlers, propagates


@contextmanager
def _own_signals() -> Iterator[None]:
    """The agent sets signal handlers and leaves them; afterwards they are what they were."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _why(error: "ChildFailedError", nproc: int, folder: Path) -> str:
    """Of the processes that have ended: one that was killed, or else the first."""
    rank, failure = min(error.failures.items(), key=lambda item: (item[1].exitcode >= 0, item[1].timestamp))
    how = f"was killed ({failure.signal_name()})" if failure.exitcode < 0 else "has failed"
    said = [path.read_text("utf-8", "replace").strip() for path in sorted(folder.rglob(f"{rank}/stderr.log"))]
    last = next((text.splitlines()[-1] for text in said if text and failure.exitcode >= 0), "")
    because = f": {last}" if last else ""
    return (
        f"rank {rank} of the {nproc} processes {how}{because}; the others were ended. Go on from the last checkpoint "
        "with --resume"
    )
