"""Work that nobody waits for any more: the client has hung up, or the answer would come too late."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from service.errors import ClientGoneError, DeadlineError

Disconnection = Callable[[], Coroutine[Any, Any, None]]
"""Returns when the client has hung up."""


@contextmanager
def abandoning(
    answers: Sequence[asyncio.Future[Any]], *, deadline: float, disconnected: Disconnection
) -> Iterator[None]:
    """While inside, settle what is still unanswered when the client hangs up, or at `deadline`.

    The answers are then ClientGoneError or DeadlineError. None is open afterwards. `deadline` is a time of the event
    loop's clock.
    """
    loop = asyncio.get_running_loop()

    def abandon(error: Exception) -> None:
        for answer in answers:
            if not answer.done():
                answer.set_exception(error)

    fewer = ", or send fewer images in a request" if len(answers) > 1 else ""
    late = DeadlineError(f"The server could not answer in time, and has given this request up; try again later{fewer}.")
    timer = loop.call_at(deadline, abandon, late)
    gone = ClientGoneError("The client hung up before its answer was made.")
    leaving = loop.create_task(disconnected())
    leaving.add_done_callback(lambda task: None if task.cancelled() else abandon(gone))
    try:
        yield
    finally:
        timer.cancel()
        leaving.cancel()
        for answer in answers:
            answer.cancel()
