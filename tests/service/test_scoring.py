"""The use case as a second protocol would call it: without HTTP."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from anomaly.bundle import BundleRef
from anomaly.data import Picture
from anomaly.errors import UndecodableImageError
from service.engine.admission import Admission
from service.engine.batcher import Batcher
from service.errors import ClientGoneError, DeadlineError, Problem, UploadTooLargeError
from service.records.drift import DriftWatch
from service.records.history import HistoryEntry
from service.records.telemetry import Telemetry
from service.scoring import JudgedImage, Scoring, Submission
from tests.service.fakes import NOT_FINITE, POISON, TaggedDetector, a_bundle, tagged


class Notes:
    """A history that notes what it is given, and numbers it from 10 on."""

    def __init__(self) -> None:
        self.groups: list[list[HistoryEntry]] = []

    async def add(self, entries: list[HistoryEntry]) -> list[int]:
        self.groups.append(entries)
        return list(range(10, 10 + len(entries)))


class Scene:
    """A use case with all that it needs, but no server."""

    def __init__(self, *, deadline_s: float = 60.0, history: Any = None) -> None:
        self.detector = TaggedDetector(a_bundle(BundleRef("m", 1, Path("m/1"))))
        self.batcher = Batcher(
            max_batch=8,
            max_wait_s=0.0,
            max_batch_s=1e6,
            threads=1,
            observe=lambda scorer, queue_s, inference_s: None,
            on_failure=pytest.fail,
        )
        self.admission = Admission(self.batcher, max_images=4, max_bytes=1000, deadline_s=deadline_s)
        self.telemetry = Telemetry()
        self.drift = DriftWatch(0.01)
        self.scoring = Scoring(self.admission, self.batcher, self.telemetry, self.drift, history)

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            self.batcher.start()
            try:
                return await work()
            finally:
                self.detector.gate.set()
                await self.batcher.close()

        return asyncio.run(whole())

    def one(
        self, sent: Submission, *, disconnected: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> JudgedImage:
        async def work() -> JudgedImage:
            with self.scoring.admit(self.detector, num_bytes=10) as reservation:
                assert (self.admission.num_images, self.admission.num_bytes) == (1, 10 + 64)
                return await self.scoring.score_one(
                    sent, self.detector, reservation, alpha=0.05, heatmap=True, disconnected=disconnected or never
                )

        found: JudgedImage = self.run(work)
        return found

    def many(self, *sent: Submission) -> list[JudgedImage | Problem]:
        async def work() -> list[JudgedImage | Problem]:
            with self.scoring.admit(self.detector, num_bytes=0) as reservation:
                return await self.scoring.score_many(sent, self.detector, reservation, alpha=0.05, disconnected=never)

        found: list[JudgedImage | Problem] = self.run(work)
        return found

    def series(self, name: str) -> float:
        lines = self.telemetry.exposition().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def never() -> None:
    await asyncio.Event().wait()


def submission(tag: int) -> Submission:
    read = partial(Picture, tagged(tag), height=8, width=8, name="x")
    return Submission(f"{tag}.png", b"%d" % tag, read, lambda: 64, part=f"part {tag}", request_id="mine")


def broken() -> Submission:
    def read() -> Picture:
        raise UndecodableImageError("no image")

    return Submission("broken.png", b"broken", read, lambda: 0)


def test_one_image_is_judged_counted_and_watched() -> None:
    scene = Scene()
    judged = scene.one(submission(95))
    assert judged.part == "part 95"
    assert (judged.name, judged.scored.score, judged.verdict.p_value) == ("95.png", 95.0, 0.05)
    assert (judged.verdict.threshold, judged.verdict.is_anomalous, judged.alpha, judged.message) == (
        94.0,
        True,
        0.05,
        None,
    )
    assert judged.scored.heatmap is not None
    assert judged.history_id is None
    assert scene.series('anomaly_images_total{model="m",verdict="anomalous"') == 1
    assert scene.drift.of(scene.detector.bundle).drift.num_scores == 1
    assert scene.admission.num_images == 0


def test_what_goes_wrong_with_one_image_is_raised() -> None:
    with pytest.raises(UndecodableImageError):
        Scene().one(broken())


@pytest.mark.parametrize("tag", [POISON, NOT_FINITE])
def test_of_many_each_has_its_place_and_failures_are_counted(tag: int) -> None:
    history = Notes()
    scene = Scene(history=history)
    found = scene.many(submission(30), broken(), submission(tag), submission(10))
    codes = [each.scored.score if isinstance(each, JudgedImage) else each.code for each in found]
    assert codes == [30.0, "undecodable_image", "internal_error", 10.0]
    assert [each.history_id for each in found if isinstance(each, JudgedImage)] == [10, 11]
    (kept,) = history.groups
    assert [(entry.part, entry.terms) for entry in kept] == [(f"part {i}", {"residual": i / 2}) for i in (30, 10)]
    assert [(entry.filename, entry.data, entry.score) for entry in kept] == [
        ("30.png", b"30", 30.0),
        ("10.png", b"10", 10.0),
    ]
    assert {entry.request_id for entry in kept} == {"mine"}
    assert scene.series("anomaly_batch_failures_total") == 2
    assert scene.drift.of(scene.detector.bundle).drift.num_scores == 0  # the history goes on with it, row by row


def test_where_nothing_has_a_score_the_history_is_not_waited_for() -> None:
    history = Notes()
    assert len(Scene(history=history).many(broken(), broken())) == 2
    assert history.groups == []


def test_more_images_than_the_server_takes_are_refused_before_any_runs() -> None:
    scene = Scene()
    with pytest.raises(UploadTooLargeError, match="has room for 4"):
        scene.many(*map(submission, range(5)))
    assert scene.detector.batches == []
    assert scene.admission.num_images == 0


def test_images_that_are_sure_to_come_too_late_are_refused_before_any_runs_but_one_image_is_always_tried() -> None:
    scene = Scene(deadline_s=5.0)
    for _ in range(3):
        scene.batcher.scheduler.charge(scene.detector, 8, 60.0)
    with pytest.raises(UploadTooLargeError, match="at least 15 s, and it gives a request 5 s"):
        scene.many(submission(1), submission(2))
    assert scene.detector.batches == []
    assert scene.admission.num_images == 0
    scene = Scene(deadline_s=5.0)
    for _ in range(3):
        scene.batcher.scheduler.charge(scene.detector, 8, 600.0)
    assert scene.one(submission(1)).scored.score == 1.0


def test_a_client_that_hangs_up_ends_its_request() -> None:
    history = Notes()
    scene = Scene(history=history)
    scene.detector.gate.clear()

    async def soon() -> None:
        await asyncio.sleep(0)

    with pytest.raises(ClientGoneError):
        scene.one(submission(1), disconnected=soon)
    assert history.groups == []


@pytest.mark.parametrize(("num", "advice"), [(1, "later"), (2, "later, or send fewer images in a request")])
def test_a_deadline_ends_the_request_of_many(num: int, advice: str) -> None:
    scene = Scene(deadline_s=0.05)
    scene.detector.gate.clear()
    with pytest.raises(DeadlineError, match=rf"try again {advice}\.$"):
        scene.many(*map(submission, range(num)))


def test_a_request_that_fails_as_a_whole_leaves_nothing_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first image is scored in time, the second is not: the client gets an error, so neither counts."""
    scene = Scene()

    async def outcome(answer: asyncio.Future[Any]) -> Any:
        scored = await answer
        return DeadlineError("late") if scored.score == 2.0 else scored

    monkeypatch.setattr("service.scoring._outcome", outcome)
    with pytest.raises(DeadlineError):
        scene.many(submission(1), submission(2))
    assert scene.series("anomaly_images_total") == 0
    assert scene.drift.of(scene.detector.bundle).drift.num_scores == 0
