"""The use case of scoring: accept a request, score its images, judge them, keep the results and watch for drift.

It knows nothing of how images arrive or of how answers look, so any protocol can call it: reserve with `admit`, read
the images, and hand them to `score_one` or `score_many`.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from anomaly.calibration import Verdict
from anomaly.config import Resize
from anomaly.data import Picture
from anomaly.inference import Detector
from anomaly.times import utc_now
from service.engine.abandonment import Disconnection, abandoning
from service.engine.admission import Admission, Reservation
from service.engine.batcher import Batcher, Scored
from service.errors import ClientGoneError, DeadlineError, EngineFailedError, Problem, describe
from service.records.drift import DriftWatch
from service.records.history import History, HistoryEntry
from service.records.telemetry import Telemetry

logger = logging.getLogger(__name__)
T = TypeVar("T")

ORDINARY = 2**18
"""Pixels: a picture that keeps its shape counts for one image for every so many that it has, or part of them."""
ENDS_REQUEST = (DeadlineError, EngineFailedError, ClientGoneError)
"""What ends a whole request; any other failure is that of one image."""
Check = Callable[[Sequence[Picture]], None]
"""Raises what a whole request is refused with for the sizes of its pictures, which only decoding tells."""


@dataclass(frozen=True)
class Submission:
    """One image to score: its file's name, its bytes as they were sent, and how to decode them (in another thread).

    `num_pixels` says how many pixels the networks will see; it is asked where pictures keep their shapes. `part` is
    what the picture shows. None where the client did not say. `request_id` is for its row in the history.
    """

    name: str | None
    data: bytes
    read: Callable[[], Picture]
    num_pixels: Callable[[], int]
    part: str | None = None
    request_id: str = ""


@dataclass(frozen=True)
class JudgedImage:
    """One scored image and its verdict.

    `message` says why there is no threshold, `warning` why the p-value does not hold.
    """

    name: str | None
    part: str | None
    scored: Scored
    verdict: Verdict
    alpha: float
    message: str | None
    warning: str | None
    history_id: int | None = None


class Scoring:
    """Scores images for one server; for the event loop's thread."""

    def __init__(
        self, admission: Admission, batcher: Batcher, telemetry: Telemetry, drift: DriftWatch, history: History | None
    ) -> None:
        self._admission = admission
        self._batcher = batcher
        self._telemetry = telemetry
        self._drift = drift
        self._history = history

    def admit(self, detector: Detector | None, *, num_bytes: int) -> AbstractContextManager[Reservation]:
        """Reserve memory for one image and a body of `num_bytes`, before that is read, until the answer is made.

        `detector` is None where only the body will tell; then `assign` follows.
        Raises OverloadedError, ShuttingDownError or EngineFailedError.
        """
        num_bytes += _pixel_bytes(detector) if detector else 0
        return self._admission.admit(detector, num_bytes=num_bytes)

    def assign(self, reservation: Reservation, detector: Detector) -> None:
        """Say which detector a request is for, once its body has told. Raises OverloadedError."""
        reservation.assign(detector, num_bytes=_pixel_bytes(detector))

    async def score_one(
        self,
        submission: Submission,
        detector: Detector,
        reservation: Reservation,
        *,
        alpha: float,
        heatmap: bool,
        disconnected: Disconnection,
    ) -> JudgedImage:
        """Score the one image of a request. Raises what goes wrong with it, and what ends the request."""
        (outcome,) = await self._score([submission], detector, reservation, alpha, disconnected, heatmap=heatmap)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def score_many(
        self,
        submissions: Sequence[Submission],
        detector: Detector,
        reservation: Reservation,
        *,
        alpha: float,
        disconnected: Disconnection,
        heatmap: bool = False,
        all_or_none: bool = False,
        check: Check | None = None,
    ) -> list[JudgedImage | Problem]:
        """Score the images of a request, at least one, in order. What goes wrong with one image stays with it.

        With `all_or_none` it ends the request, and no image is counted: what is raised is of the first that fails.
        `check` is given the pictures that can be scored, before one is. What it raises ends the request.
        Raises OverloadedError or UploadTooLargeError if so many are too many, and what ends the request.
        """
        num_more = len(submissions) - 1
        reservation.grow(num_images=num_more, num_bytes=num_more * _pixel_bytes(detector))
        outcomes = await self._score(
            submissions,
            detector,
            reservation,
            alpha,
            disconnected,
            heatmap=heatmap,
            ends_request=(Exception,) if all_or_none else ENDS_REQUEST,
            check=check or (_accept if all_or_none and num_more else None),
        )
        return [self._explain(each) if isinstance(each, Exception) else each for each in outcomes]

    async def _score(
        self,
        submissions: Sequence[Submission],
        detector: Detector,
        reservation: Reservation,
        alpha: float,
        disconnected: Disconnection,
        *,
        heatmap: bool = False,
        ends_request: tuple[type[Exception], ...] = ENDS_REQUEST,
        check: Check | None = None,
    ) -> list[JudgedImage | Exception]:
        """With a `check`, all images are decoded before the networks run on one."""
        weights = await _weights(submissions, detector, reservation)
        if len(submissions) > 1:
            reservation.check_in_time()
        reservation.has_come()  # the deadline bounds what we take, not how long an upload took
        reads = [each.read for each in submissions]
        abandon = partial(abandoning, deadline=reservation.deadline, disconnected=disconnected)
        if check:
            decoded = [self._batcher.in_decoder(read) for read in reads]
            with abandon(decoded):
                pictures = [await _outcome(picture) for picture in decoded]
            _end_if_one(pictures, ends_request)
            check([picture for picture in pictures if isinstance(picture, Picture)])
            reads = [partial(_again, picture) for picture in pictures]
        answers = [
            self._batcher.submit(detector, read, heatmap=heatmap, weight=weight)
            for read, weight in zip(reads, weights, strict=True)
        ]
        with abandon(answers):
            outcomes = [_checked(await _outcome(answer)) for answer in answers]
        _end_if_one(outcomes, ends_request)  # before any is judged, so that nothing is counted of a request that fails
        pairs = zip(submissions, outcomes, strict=True)
        judged = [self._judge(submission, outcome, detector, alpha) for submission, outcome in pairs]
        numbers = await self._keep(submissions, judged, detector)
        return [
            replace(each, history_id=numbers[i]) if isinstance(each, JudgedImage) and i in numbers else each
            for i, each in enumerate(judged)
        ]

    def _judge(
        self, submission: Submission, outcome: Scored | Exception, detector: Detector, alpha: float
    ) -> JudgedImage | Exception:
        """One image's verdict, counted and watched; or what went wrong with it."""
        if isinstance(outcome, Exception):
            return outcome
        calibration = detector.calibration
        verdict = calibration.judge(outcome.score, alpha)
        self._telemetry.observe_score(detector.bundle, outcome.score, verdict.p_value, verdict.is_anomalous)
        if self._history is None:  # which else watches drift in the order of its rows
            self._drift.add(detector.bundle, outcome.score, verdict.p_value, submission.part)
        picture = outcome.picture
        warning = detector.size_warning(picture.height, picture.width)
        shortage = calibration.shortage(alpha)
        return JudgedImage(submission.name, submission.part, outcome, verdict, alpha, shortage, warning)

    async def _keep(
        self, submissions: Sequence[Submission], judged: Sequence[JudgedImage | Exception], detector: Detector
    ) -> dict[int, int | None]:
        """Keep those with a score in the history, if there is one: the numbers of their rows, by their places here."""
        if self._history is None:
            return {}
        now = utc_now()
        entries = {
            i: _entry(submission, each, detector, now)
            for i, (submission, each) in enumerate(zip(submissions, judged, strict=True))
            if isinstance(each, JudgedImage)
        }
        if not entries:
            return {}
        with self._telemetry.keeping():
            numbers = await self._history.add(list(entries.values()))
        return dict(zip(entries, numbers, strict=True))

    def _explain(self, error: Exception) -> Problem:
        """What a client may know of an image of a batch that failed; it is counted and, if unforeseen, logged."""
        problem = describe(error)
        self._telemetry.count_failure(problem.code)
        if problem.status == 500:
            logger.error("an image of a batch could not be scored", exc_info=error)
        return problem


async def _weights(submissions: Sequence[Submission], detector: Detector, reservation: Reservation) -> list[int]:
    """How many ordinary images each counts for. Raises what `Reservation.grow` raises where that is too many."""
    if detector.preprocess.resize is not Resize.WHOLE:
        return [1] * len(submissions)
    nums = await asyncio.to_thread(lambda: [each.num_pixels() for each in submissions])
    weights = [max(1, math.ceil(num / ORDINARY)) for num in nums]
    num_bytes = detector.preprocess.channels * sum(nums)
    reservation.grow(num_images=sum(weights) - len(weights), num_bytes=num_bytes)
    return weights


async def _outcome(answer: Awaitable[T]) -> T | Exception:
    try:
        return await answer
    except Exception as error:
        return error


def _checked(outcome: Scored | Exception) -> Scored | Exception:
    if isinstance(outcome, Exception) or all(map(math.isfinite, (outcome.score, *outcome.terms.values()))):
        return outcome
    return ArithmeticError(f"the detector gave a score or a term that is not finite: {outcome.score}")


def _end_if_one(outcomes: Iterable[object], ends_request: tuple[type[Exception], ...]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, ends_request):
            raise outcome


def _again(picture: Picture | Exception) -> Picture:
    if isinstance(picture, Exception):
        raise picture
    return picture


def _accept(pictures: Sequence[Picture]) -> None:
    """For a request that ends if one of its images cannot be decoded."""


def _entry(submission: Submission, judged: JudgedImage, detector: Detector, time: str) -> HistoryEntry:
    bundle = detector.bundle
    return HistoryEntry(
        request_id=submission.request_id,
        time=time,
        model=bundle.name,
        version=bundle.version,
        digest=bundle.digest,
        filename=judged.name,
        part=judged.part,
        data=submission.data,
        pixels=judged.scored.picture.pixels,
        score=judged.scored.score,
        p_value=judged.verdict.p_value,
        threshold=judged.verdict.threshold,
        alpha=judged.alpha,
        is_anomalous=judged.verdict.is_anomalous,
        terms=judged.scored.terms,
        calibration=bundle.contents.calibration.scores,
    )


def _pixel_bytes(detector: Detector) -> int:
    """Of one preprocessed image; 0 where only the image will tell."""
    if detector.preprocess.resize is Resize.WHOLE:
        return 0
    return detector.preprocess.channels * detector.preprocess.size**2
