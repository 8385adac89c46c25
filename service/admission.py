"""Who is let in: a house of bounded room, which says so before a body is read.

Room is counted in images and in bytes, of bodies and of preprocessed pixels, from a request's head until its answer.
And nobody is let in to wait in vain: a request is refused at once when the turns before its own would take more than
half of its deadline, by the time that turns lately took. Turns are kept to a quarter of it, and the last quarter is
for what the estimates leave out.

Everything here runs on the event loop's thread, so the counts need no lock.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

from service.batcher import Batcher, Scorer
from service.errors import OverloadedError, ShuttingDownError

SHARE_OF_WAIT, SHARE_OF_TURN = 0.5, 0.25
"""How much of its deadline a request may be expected to wait, and how much its own turn may be expected to take."""


class Room:
    """What one request takes up; its answer is due at `deadline`, a time of the event loop's clock."""

    def __init__(self, admission: "Admission", scorer: Scorer, deadline: float) -> None:
        self.deadline = deadline
        self.num_images = 0
        self.num_bytes = 0
        self._admission = admission
        self._scorer = scorer

    def widen(self, *, num_images: int = 0, num_bytes: int = 0) -> None:
        """Take more. Raises OverloadedError if there is no more."""
        self._admission.check(self._scorer, num_images, num_bytes)
        self._change(num_images, num_bytes)

    def give_back(self) -> None:
        """Take up nothing any more."""
        self._change(-self.num_images, -self.num_bytes)

    def _change(self, num_images: int, num_bytes: int) -> None:
        self.num_images += num_images
        self.num_bytes += num_bytes
        self._admission.note(self._scorer, num_images, num_bytes)


class Admission:
    """The room before one device."""

    def __init__(self, batcher: Batcher, *, max_images: int, max_bytes: int, deadline_s: float) -> None:
        self.max_images = max_images
        self.max_bytes = max_bytes
        self.deadline_s = deadline_s
        self.is_closed = False
        self.num_images = 0
        self.num_bytes = 0
        self._batcher = batcher
        self._images_of: Counter[Scorer] = Counter()
        self._admitted_at: dict[Room, float] = {}  # in the order of admission

    def close(self) -> None:
        """Let nobody in any more; whoever is in stays."""
        self.is_closed = True

    @contextmanager
    def admit(self, scorer: Scorer, *, num_images: int = 1, num_bytes: int = 0) -> Iterator[Room]:
        """Keep room for a request from before its body is read until it is answered.

        Raises OverloadedError or ShuttingDownError.
        """
        if self.is_closed:
            raise ShuttingDownError("The server is shutting down; try again shortly.")
        room = Room(self, scorer, asyncio.get_running_loop().time() + self.deadline_s)
        room.widen(num_images=num_images, num_bytes=num_bytes)
        self._admitted_at[room] = perf_counter()
        try:
            yield room
        finally:
            del self._admitted_at[room]
            room.give_back()

    @property
    def age_s(self) -> float:
        """For how long the oldest request that is in has been so; 0 if there is none."""
        oldest = next(iter(self._admitted_at.values()), None)
        return 0.0 if oldest is None else perf_counter() - oldest

    def check(self, scorer: Scorer, num_images: int, num_bytes: int) -> None:
        """Raise OverloadedError if so much more cannot be let in."""
        if obstacle := self._obstacle(scorer, num_images, num_bytes):
            raise obstacle

    def full_for(self, scorers: Iterable[Scorer]) -> OverloadedError | None:
        """Why not one image more is let in, whichever of `scorers` it is for; None if one might be, or at a stop."""
        obstacle = None
        if self.is_closed:
            return None
        for scorer in scorers:
            if (obstacle := self._obstacle(scorer, num_images=1, num_bytes=0)) is None:
                return None
        return obstacle

    def _obstacle(self, scorer: Scorer, num_images: int, num_bytes: int) -> OverloadedError | None:
        wait_s = self.expected_wait_s(scorer)
        if self.num_images + num_images > self.max_images:
            return OverloadedError(
                f"The server is busy with {self.num_images} images and takes {self.max_images}; try again soon.", wait_s
            )
        if self.num_bytes + num_bytes > self.max_bytes:
            return OverloadedError(
                f"The server holds {self.num_bytes} bytes of images and takes {self.max_bytes}; try again soon.", wait_s
            )
        if num_images and wait_s > SHARE_OF_WAIT * self.deadline_s:
            return OverloadedError(
                f"The server would come to this image in about {wait_s:.1f} s, too late to be sure of an answer within "
                f"{self.deadline_s:g} s; try again soon.",
                wait_s,
            )
        return None

    def note(self, scorer: Scorer, num_images: int, num_bytes: int) -> None:
        """Count what came in, or, if negative, what left."""
        self.num_images += num_images
        self.num_bytes += num_bytes
        self._images_of[scorer] += num_images
        if not self._images_of[scorer]:
            del self._images_of[scorer]

    def expected_wait_s(self, scorer: Scorer) -> float:
        """Until all that is in has been scored; or, as detectors take turns, until all of `scorer`'s own has been."""
        expected_s = self._batcher.turns.expected_s
        waits_s = {each: expected_s(each, number) for each, number in self._images_of.items()}
        return min(sum(waits_s.values()), len(waits_s) * waits_s.get(scorer, 0.0))
