"""The loop: look, accept, score, report, sort. One thread, so there is one order and nothing to be out of step.

It takes one batch after another, whatever waits: pictures of more are never in memory. Nothing new is accepted while
two batches wait to be scored, and nothing is scored while many reports wait for their target. Files wait in the folder.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from anomaly.bundle import check_outside_versions
from anomaly.calibration import check_alpha
from anomaly.data import Limits, chunk_size
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.defaults import ALPHA
from anomaly.errors import StorageError, UsageError, reason_of
from anomaly.extras import require
from anomaly.files import make_paths
from anomaly.inference import Detector, load_detector
from anomaly.locks import held
from anomaly.pipeline.results import ResultRow
from anomaly.pipeline.score import Reading, columns_of, score_rows
from anomaly.times import utc_now
from anomaly.watch.arrivals import Arrivals, arrival_of, cannot_be_opened, is_open_for_writing, report_id
from anomaly.watch.changes import changes, check_times
from anomaly.watch.journal import Arrival, Journal, Report, open_journal
from anomaly.watch.retry import Retry
from anomaly.watch.sorting import Sorting, open_sorting
from anomaly.watch.targets.opening import check_target, open_target
from anomaly.watch.targets.target import DeliveryError, Target
from anomaly.watch.targets.webhook import read_secret

LOCK, JOURNAL = ".anomaly-watch.lock", ".anomaly-watch.sqlite"
MAX_WAITING = 10_000
"""Reports that may wait for their target while more files are scored."""
_REPORTS_AT_ONCE = 100
_WORK_S = 1.0
_COMMIT_S = 0.2  # arrived reports are committed so often, not one by one: a commit waits for the disk
_LOOK_AGAIN_S = 0.2


@dataclass(frozen=True)
class WatchOptions:
    """The options of `anomaly watch`.

    `settle_s`: a file that has not changed for so long is whole. With `poll_s` the folder is looked at every so many
    seconds, and nothing is asked of the system. `journal` is by default in the folder.
    """

    model: Path
    folder: Path
    to: str
    move_to: Path | None = None
    journal: Path | None = None
    poll_s: float | None = None
    settle_s: float = 1.0
    secret_file: Path | None = None
    alpha: float = ALPHA
    device: str = "auto"
    engine: str = "auto"
    max_pixels: int = DEFAULT_LIMITS.max_pixels

    def __post_init__(self) -> None:
        """Paths may be given as texts."""
        make_paths(self, "model", "folder", "move_to", "journal", "secret_file")


@dataclass
class WatchSummary:
    """Files reported, of them with a verdict, anomalous, and without a score; and reports that wait in the journal."""

    num_reported: int = 0
    num_judged: int = 0
    num_anomalous: int = 0
    num_failed: int = 0
    num_waiting: int = 0

    def add(self, rows: Sequence[ResultRow]) -> None:
        """These have arrived."""
        self.num_reported += len(rows)
        verdicts = [row["is_anomalous"] for row in rows if row["error"] is None]
        self.num_judged += sum(verdict is not None for verdict in verdicts)
        self.num_anomalous += sum(verdict is True for verdict in verdicts)
        self.num_failed += sum(row["error"] is not None for row in rows)


def watch_folder(
    options: WatchOptions,
    stop: Event,
    *,
    say: Callable[[str], None] = lambda sentence: None,
    on_ready: Callable[[], None] = lambda: None,
) -> WatchSummary:
    """Report every image in the folder, and each that comes into it, until `stop` is set and what is accepted is done.

    `say` is told what a user should know, such as that the target does not answer; `on_ready` that watching begins.

    Raises:
        UsageError: an option cannot be used.
        BundleError: the bundle cannot be used.
        InUseError: another process watches the folder, or writes the file.
        StorageError: the folder or the journal cannot be written, or the folder was replaced by another.
    """
    options = replace(options, alpha=check_alpha(options.alpha))
    check_times(options.settle_s, options.poll_s)
    check_target(options.to)
    secret = read_secret(options.secret_file)
    folder = options.folder.resolve()
    if not folder.is_dir():
        raise UsageError(f"{options.folder} is no folder that can be watched; give one that exists")
    journal_path = options.journal or folder / JOURNAL
    for own in (folder / LOCK, journal_path):
        check_outside_versions(own)
    if options.poll_s is None:
        require("watching a folder", "watch", "watchfiles")
    with ExitStack() as stack:
        stack.enter_context(held(folder / LOCK, f"the journal of {folder}", instead="watch another folder"))
        journal = stack.enter_context(open_journal(journal_path, folder))
        detector = load_detector(options.model, device=options.device, engine=options.engine)
        shortage = detector.calibration.shortage(options.alpha)
        sorting = open_sorting(folder, options.move_to, shortage)
        if shortage is not None:
            say(shortage)
        columns = ["id", "time", *columns_of(detector)]
        target = stack.enter_context(closing(open_target(options.to, columns, secret=secret)))
        is_open = is_open_for_writing if options.poll_s is None else cannot_be_opened
        arrivals = Arrivals(
            folder,
            journal.knows,
            settle_s=options.settle_s,
            skipped=sorting.folders if sorting else (),
            is_open=is_open,
        )
        watching = _Watching(options, folder, detector, journal, arrivals, target, sorting, say)
        on_ready()
        for changed in changes(folder, stop, poll_s=options.poll_s):
            watching.look(changed)
            watching.work(stop)
        return watching.finish()


@dataclass
class _Watching:
    """One watcher at work."""

    options: WatchOptions
    folder: Path
    detector: Detector
    journal: Journal
    arrivals: Arrivals
    target: Target
    sorting: Sorting | None
    say: Callable[[str], None]
    summary: WatchSummary = field(default_factory=WatchSummary)

    def __post_init__(self) -> None:
        self._reading = Reading(self.detector, Limits.for_pixels(self.options.max_pixels))
        self._batch = chunk_size(self.detector.preprocess)
        self._delivering = Retry("reports wait in the journal", self.say)
        self._moving = Retry("pictures stay in the folder", self.say)
        self._device = self.folder.stat().st_dev
        self._is_away = False

    def look(self, changed: set[Path] | None) -> None:
        """Into files that something happened to, or, for None, all."""
        if not self._is_there():
            return
        if changed is None:
            self.arrivals.scan()
        else:
            self.arrivals.look(changed)

    def work(self, stop: Event) -> None:
        """A batch further in everything, and another while there is one, until it is time to look again."""
        until = time.monotonic() + _WORK_S
        has_more = True
        while has_more and not stop.is_set():
            self._accept()
            has_more = self._score() and time.monotonic() < until
            self._report()
            self._sort()

    def finish(self) -> WatchSummary:
        """Score and report what is accepted. What the target does not take now waits in the journal."""
        while self._score():
            self._report()
        while self.journal.count("scored") and self._report(at_once=True):
            pass
        self._sort(at_once=True)
        self.summary.num_waiting = self.journal.count("scored") + self.journal.count("accepted")
        return self.summary

    def _accept(self) -> None:
        room = 2 * self._batch - self.journal.count("accepted")
        if room > 0 and (arrivals := self.arrivals.whole(room)):
            self.journal.accept(arrivals)

    def _score(self) -> bool:
        """One batch; whether there was one."""
        batch = self.journal.accepted(self._batch)
        if not batch or self.journal.count("scored") >= MAX_WAITING or not self._is_there():
            return False
        ids = [report_id(self.folder, arrival) for arrival in batch]
        paths = [str(self.options.folder / arrival.path) for arrival in batch]
        before = set(self._reading.remarks.found)
        rows = list(score_rows(self._reading, [(path, Path(path)) for path in paths], self.options.alpha))
        for remark, (_, name) in self._reading.remarks.found.items():
            if remark not in before:
                self.say(f"{name}: {remark} (said of the first such picture only)")
        now = utc_now()
        if not self._is_there():
            return False  # what is in the rows may be that the network has gone
        found = [arrival_of(self.folder / arrival.path, arrival.path) for arrival in batch]
        changed = {was for was, is_ in zip(batch, found, strict=True) if is_ is not None and is_ != was}
        self.journal.withdraw(list(changed))
        self.arrivals.look(self.folder / arrival.path for arrival in changed)
        scored = zip(batch, ids, rows, strict=True)
        self.journal.keep_scored(
            [Report(a, id_, {"id": id_, "time": now, **row}) for a, id_, row in scored if a not in changed]
        )
        return True

    def _report(self, *, at_once: bool = False) -> bool:
        """Some reports; whether all of these have arrived."""
        reports = self.journal.scored(_REPORTS_AT_ONCE)
        if not reports or not (at_once or self._delivering.is_due):
            return not reports
        done = kept = 0
        kept_at = time.monotonic()
        try:
            for num in self.target.deliver([report.row for report in reports]):
                done += num
                if time.monotonic() - kept_at > _COMMIT_S:
                    self._keep_reported(reports[kept:done])
                    kept, kept_at = done, time.monotonic()
        except DeliveryError as error:
            self._delivering.fail(str(error))
            return False
        finally:
            self._keep_reported(reports[kept:done])
        self._delivering.succeed()
        return True

    def _keep_reported(self, reports: Sequence[Report]) -> None:
        if reports:
            self.journal.keep_reported(reports)
            self.summary.add([report.row for report in reports])

    def _sort(self, *, at_once: bool = False) -> None:
        while self.sorting is not None and (at_once or self._moving.is_due) and self._is_there():
            reports = self.journal.reported(_REPORTS_AT_ONCE)
            if not reports:
                return
            moved: list[Arrival] = []
            failure = ""
            for report in reports:
                try:
                    self.sorting.move(report)
                    moved.append(report.arrival)
                except OSError as error:
                    failure = f"{error.filename or report.arrival.path} cannot be moved: {reason_of(error)}"
            self.journal.withdraw(moved)
            if failure:
                self._moving.fail(failure)
                return
            self._moving.succeed()

    def _is_there(self) -> bool:
        """Whether the folder is. On a network drive that has gone there may be another, empty folder in its place.

        Raises:
            StorageError: it was emptied of the lock, or replaced, on the same disk: what holds the lock is gone.
        """
        is_there = (self.folder / LOCK).exists()
        if not is_there and self._is_replaced():
            raise StorageError(
                f"{self.folder} was replaced, or its file {LOCK} was deleted; start `anomaly watch` again"
            )
        if is_there == self._is_away:
            self._is_away = not is_there
            self.say(f"{self.folder} is {'there again' if is_there else 'not there; waiting until it is'}")
        return is_there

    def _is_replaced(self) -> bool:
        """Whether a folder is there on the same disk, but not with the lock. It is looked twice: it may be moving."""
        for _ in range(2):
            time.sleep(_LOOK_AGAIN_S)
            try:
                if self.folder.stat().st_dev != self._device or (self.folder / LOCK).exists():
                    return False
            except OSError:
                return False
        return True
