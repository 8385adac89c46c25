"""Which requests are accepted: the server holds a bounded amount of work, and refuses the rest before reading a body.

Work is counted in images and in bytes (of bodies and of preprocessed pixels), from a request's head until its answer.
A large picture counts for as many images as have its pixels (see `Scoring`).
A request is also refused at once if the batches before its own are expected to take more than half of its deadline,
judged by how long batches lately took. Batches are kept to a quarter of the deadline. The last quarter is for what the
estimates leave out. A request of several images is refused too if its own are sure to take far longer than its
deadline. One image never is: by it the server learns that it has become faster.

Everything here runs on the event loop's thread, so the counts need no lock.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

from service.engine.batcher import Batcher, Scorer
from service.errors import OverloadedError, ShuttingDownError, UploadTooLargeError

SHARE_OF_WAIT, SHARE_OF_BATCH = 0.5, 0.25
"""How much of its deadline a request may be expected to wait, and how much its own batch may be expected to take."""
FAR_TOO_LONG = 2.0
"""So many times its deadline a request's own images must take at the least, for it to be refused before it is tried."""


class Reservation:
    """What one request may hold; once it has come, its answer is due at `deadline`, by the event loop's clock."""

    def __init__(self, admission: "Admission", scorer: Scorer | None) -> None:
        self.num_images = 0
        self.num_bytes = 0
        self._admission = admission
        self._scorer = scorer
        self.deadline = math.inf

    def grow(self, *, num_images: int = 0, num_bytes: int = 0) -> None:
        """Reserve more.

        Raises OverloadedError if the server cannot hold more now, or UploadTooLargeError if it never holds so much.
        """
        self._admission.check_fits(self.num_images + num_images, self.num_bytes + num_bytes)
        self._admission.check(self._scorer, num_images, num_bytes, num_own=self.num_images)
        self._change(num_images, num_bytes)

    def assign(self, scorer: Scorer, *, num_bytes: int) -> None:
        """Say which detector it is for, now that the body has told, and reserve more bytes for that.

        Raises OverloadedError if the server would come to it too late, or what `grow` raises.
        """
        num_images = self.num_images
        self._change(-num_images, 0)
        self._scorer = scorer
        self.grow(num_images=num_images, num_bytes=num_bytes)

    def check_in_time(self) -> None:
        """Raise UploadTooLargeError if its images cannot be scored before its deadline, even if there are no others."""
        self._admission.check_in_time(self._scorer, self.num_images)

    def has_come(self) -> None:
        """All of the request is here: the time until its answer is due begins now."""
        self._admission.note_come(self)
        self.deadline = asyncio.get_running_loop().time() + self._admission.deadline_s

    def release(self) -> None:
        """Hold nothing any more."""
        self._change(-self.num_images, -self.num_bytes)

    def _change(self, num_images: int, num_bytes: int) -> None:
        self.num_images += num_images
        self.num_bytes += num_bytes
        self._admission.note(self._scorer, num_images, num_bytes)


class Admission:
    """The bounds of what one device may have waiting."""

    def __init__(self, batcher: Batcher, *, max_images: int, max_bytes: int, deadline_s: float) -> None:
        self.max_images = max_images
        self.max_bytes = max_bytes
        self.deadline_s = deadline_s
        self.is_closed = False
        self.num_images = 0
        self.num_bytes = 0
        self._batcher = batcher
        self._images_of: Counter[Scorer] = Counter()
        self._come_at: dict[Reservation, float] = {}  # in this order

    def close(self) -> None:
        """Accept no further request; those that were accepted are answered."""
        self.is_closed = True

    @contextmanager
    def admit(self, scorer: Scorer | None, *, num_bytes: int = 0) -> Iterator[Reservation]:
        """Reserve what a request of one image needs, from before its body is read until it is answered.

        `scorer` is None where only the body will tell.

        Raises OverloadedError, ShuttingDownError, EngineFailedError or UploadTooLargeError.
        """
        if self.is_closed:
            raise ShuttingDownError("The server is shutting down; try again shortly.")
        self._batcher.check()
        reservation = Reservation(self, scorer)
        reservation.grow(num_images=1, num_bytes=num_bytes)
        try:
            yield reservation
        finally:
            self._come_at.pop(reservation, None)
            reservation.release()

    @property
    def age_s(self) -> float:
        """How long the oldest open request has waited since all of it had come; 0 if none waits."""
        oldest = next(iter(self._come_at.values()), None)
        return 0.0 if oldest is None else perf_counter() - oldest

    def check_fits(self, num_images: int, num_bytes: int) -> None:
        """Raise UploadTooLargeError if one request with so much is not accepted even where there is no other."""
        for num, most, what in (
            (num_images, self.max_images, "images, as a large picture counts for several"),
            (num_bytes, self.max_bytes, "bytes, with their pixels"),
        ):
            if num > most:
                raise UploadTooLargeError(
                    f"The request's images take the room of {num:,} {what}; the server has room for {most:,}. Send "
                    "fewer in a request, or smaller ones."
                )

    def check_in_time(self, scorer: Scorer | None, num_images: int) -> None:
        """Raise UploadTooLargeError if so many images of one request are sure to take far longer than its deadline."""
        least_s = 0.0 if scorer is None else self._batcher.scheduler.least_s(scorer, num_images)
        if least_s > FAR_TOO_LONG * self.deadline_s:
            raise UploadTooLargeError(
                f"The request's images take this server at least {least_s:.0f} s, and it gives a request "
                f"{self.deadline_s:g} s. Send fewer in a request, or smaller ones, or start the server with a longer "
                "deadline (ANOMALY_DEADLINE_S)."
            )

    def check(self, scorer: Scorer | None, num_images: int, num_bytes: int, *, num_own: int) -> None:
        """Raise OverloadedError if so much more cannot be accepted for a request that has `num_own` images already."""
        if obstacle := self._obstacle(scorer, num_images, num_bytes, num_own):
            raise obstacle

    def full_for(self, scorers: Iterable[Scorer]) -> OverloadedError | None:
        """Why not even one image is accepted, whichever of `scorers` it is for.

        None if one might be; also once the server stops or has failed, which have errors of their own.
        """
        obstacle = None
        if self.is_closed or self._batcher.failure:
            return None
        for scorer in scorers:
            if (obstacle := self._obstacle(scorer, num_images=1, num_bytes=0, num_own=0)) is None:
                return None
        return obstacle

    def _obstacle(self, scorer: Scorer | None, num_images: int, num_bytes: int, num_own: int) -> OverloadedError | None:
        wait_s = 0.0 if scorer is None else self.expected_wait_s(scorer, num_own)
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

    def note_come(self, reservation: Reservation) -> None:
        """All of this request is here. What still comes waits for its client and not for us."""
        self._come_at[reservation] = perf_counter()

    def note(self, scorer: Scorer | None, num_images: int, num_bytes: int) -> None:
        """Count what was reserved, or, if negative, released."""
        self.num_images += num_images
        self.num_bytes += num_bytes
        if scorer is None:
            return
        self._images_of[scorer] += num_images
        if not self._images_of[scorer]:
            del self._images_of[scorer]

    def expected_wait_s(self, scorer: Scorer, num_own: int = 0) -> float:
        """Until all accepted images are scored; or, as detectors share the device, until all of `scorer`'s are.

        `num_own` of them do not count.
        """
        expected_s = self._batcher.scheduler.expected_s
        num_each = self._images_of - Counter({scorer: num_own})
        waits_s = {each: expected_s(each, number) for each, number in num_each.items()}
        return min(sum(waits_s.values()), len(waits_s) * waits_s.get(scorer, 0.0))
