"""How bundles are loaded, replaced and unloaded.

At the start every version under the models folder is loaded in the background, current versions first. Later, `reload`
and `rescan` load what is new or has changed. A bundle is verified and warmed while the old one still serves, and
replaces it only then; if it fails, the old one serves on. A broken bundle is reported and harms no other. All of this
blocks, and is done by one thread at a time. The event loop has it done `in_turn`.
"""

import asyncio
import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from anomaly.bundle import BundleRef
from anomaly.bundle.layout import SUMS
from anomaly.errors import AnomalyError
from anomaly.inference import Detector
from service.errors import BundleRefusedError, ModelNotFoundError
from service.models.pool import Pool, Slot

logger = logging.getLogger(__name__)

T = TypeVar("T")
Finder = Callable[[], Sequence[BundleRef]]
Loader = Callable[[Path], Detector]


class Loading:
    """Changes a pool. `find` tells what there is to serve, `load` makes a warm detector of a folder."""

    def __init__(self, pool: Pool, find: Finder, load: Loader) -> None:
        self._pool = pool
        self._find = find
        self._load = load
        self._unloaded: dict[tuple[str, int], set[str | None]] = {}
        """Versions that only `reload` and `load_model` bring back, with the digests that this holds for."""
        self._unloaded_names: set[str] = set()  # all their versions, those yet to come too
        self._one_at_a_time = threading.Lock()
        self._stopped = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="loading")

    async def in_turn(self, work: Callable[..., T], *arguments: object) -> T:
        """What one of the calls below gives, in a thread for these alone: loads that wait hold up nothing else."""
        call = partial(copy_context().run, work, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def load_all(self, on_settled: Callable[[Pool], object] | None = None) -> None:
        """Load every bundle of the pool, current versions first; call `on_settled` when these are done.

        A rescan may have come before, and loaded them.
        """
        with self._one_at_a_time:
            current = self._pool.current
            others = [slot for slot in self._pool if slot not in current and not slot.is_settled]
            self._fill_each([slot for slot in current if not slot.is_settled])
            if on_settled is not None and not self._stopped.is_set():
                on_settled(self._pool)
            self._fill_each(others)

    def rescan(self) -> list[Slot]:
        """Take every bundle that has come, has changed or had failed, and return these. What is gone serves on.

        What had failed and is gone is forgotten: if it was current, the highest version that is loaded is, provided
        that it still lies there.

        What was unloaded is passed over, and the log names it; another bundle of its version's number is taken.
        Raises BundleNotFoundError if the models folder is gone.
        """
        with self._one_at_a_time:
            there = self._find()
            self._forget_refusals({(ref.name, ref.version) for ref in there})
            refs = [ref for ref in there if not self._passes_over(ref)]
            slots = self._fill_each([self._pool.slot(ref) for ref in refs if not self._serves(ref)])
            for slot in slots:
                self._unloaded.pop((slot.name, slot.version), None)
            return slots

    def reload(self, name: str, version: int | None) -> Detector:
        """Take a bundle as it lies there now, be it served already or not; without a version the highest.

        Raises ModelNotFoundError if there is none, BundleRefusedError if it fails: what served before serves on.
        """
        with self._one_at_a_time:
            there = {ref.version: ref for ref in self._find() if ref.name == name}
            ref = there.get(max(there, default=0) if version is None else version)
            if ref is None:
                what = "bundle" if version is None else f"version {version} of a bundle"
                raise ModelNotFoundError(f"There is no {what} called {name[:80]!r} in the models folder.")
            slot = self._fill(self._pool.slot(ref))
            if name in self._unloaded_names:  # of a model that was unloaded, this version alone comes back
                self._unloaded_names.remove(name)
                self._unloaded |= {(name, other): {_digest(each.path)} for other, each in there.items()}
            self._unloaded.pop((name, ref.version), None)
        if slot.detector is None or slot.failure:
            raise BundleRefusedError(
                f"The bundle {name!r}, version {ref.version}, is refused: {self._pool.explain(slot)}"
            )
        return slot.detector

    def load_model(self, name: str) -> None:
        """Take every version of a name as it lies there now, the highest first; what has not changed serves on.

        Raises ModelNotFoundError if there is none, BundleRefusedError if one fails: the others are served, and what
        served before in its place serves on.
        """
        with self._one_at_a_time:
            refs = sorted((ref for ref in self._find() if ref.name == name), reverse=True)
            if not refs:
                raise ModelNotFoundError(f"There is no bundle called {name[:80]!r} in the models folder.")
            self._unloaded_names.discard(name)
            self._unloaded = {key: digests for key, digests in self._unloaded.items() if key[0] != name}
            slots = self._fill_each([self._pool.slot(ref) for ref in refs if not self._serves(ref)])
        if refused := [f"version {slot.version}: {self._pool.explain(slot)}" for slot in slots if slot.failure]:
            raise BundleRefusedError(f"Of the bundle {name!r} are refused: {'; '.join(refused)}")

    def unload_model(self, name: str) -> None:
        """Serve no version of a name any more, nor one that is yet to come, until it is loaded by name again.

        Raises ModelNotFoundError if none is known.
        """
        with self._one_at_a_time:
            self._pool.drop_model(name)
            self._unloaded_names.add(name)
        logger.info("bundle %s is unloaded", name)

    def left_out(self) -> list[BundleRef]:
        """What lies in the models folder and is not in the pool. Raises BundleNotFoundError if the folder is gone."""
        known = {(slot.name, slot.version) for slot in self._pool}
        return [ref for ref in self._find() if (ref.name, ref.version) not in known]

    def unload(self, name: str, version: int) -> None:
        """Serve a version no more, until it is loaded by name again; requests that have their detector are answered.

        That holds for what is served and for what lies there now, not for another bundle that gets the same number.
        Raises ModelNotFoundError if it is not served.
        """
        with self._one_at_a_time:
            slot = self._pool.model(name).slots.get(version)
            self._pool.drop(name, version)
            if slot:
                served = slot.detector.bundle.digest if slot.detector else None
                self._unloaded[name, version] = {_digest(slot.path), served}
        logger.info("bundle %s version %d is unloaded", name, version)

    def stop(self) -> None:
        """Let whatever loads end after the bundle that it is loading, and begin no further call."""
        self._stopped.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _fill_each(self, slots: Sequence[Slot]) -> list[Slot]:
        return [self._fill(slot) for slot in slots if not self._stopped.is_set()]

    def _fill(self, slot: Slot) -> Slot:
        """Load a bundle and put it in its place; a failure only leaves its reason there."""
        try:
            detector = self._load(slot.path)
        except AnomalyError as error:
            slot = replace(slot, failure=str(error))
        except Exception:
            slot = replace(slot, failure="It could not be loaded for a reason not foreseen; the server's log has it.")
            logger.exception("bundle %s version %d cannot be loaded", slot.name, slot.version)
        else:
            slot = replace(slot, detector=detector, failure=None)
        self._pool.put(slot)
        if slot.failure:
            logger.error("bundle %s version %d is refused: %s", slot.name, slot.version, self._pool.explain(slot))
        else:
            logger.info("bundle %s version %d is loaded", slot.name, slot.version)
        return slot

    def _forget_refusals(self, there: set[tuple[str, int]]) -> None:
        """Of versions that are gone from the folder: those that failed are no more, the others just serve on.

        But a disk that is gone must not let an older version answer: that one has to lie there still.
        """
        if not there:
            logger.warning("the models folder has no bundle any more: is its disk there? What is loaded serves on")
        for slot in [each for each in self._pool if each.failure and (each.name, each.version) not in there]:
            other = self._pool.stand_in(slot)
            if slot.detector:
                self._pool.put(replace(slot, failure=None))
            elif other is not None and (slot.name, other) not in there:
                logger.warning(
                    "bundle %s version %d stays refused: it is gone from the models folder, and so is version %d, "
                    "which would answer in its place; if that is wanted, call POST /admin/unload?model=%s&version=%d",
                    *(slot.name, slot.version, other, quote(slot.name, safe=""), slot.version),
                )
            else:
                self._pool.drop(slot.name, slot.version)
                logger.info("bundle %s version %d, which was refused, is gone", slot.name, slot.version)

    def _serves(self, ref: BundleRef) -> bool:
        """Whether the very files that lie there are served: their sums are those loaded, and none was refused."""
        slot = self._pool.slot(ref)
        return slot.failure is None and slot.detector is not None and slot.detector.bundle.digest == _digest(ref.path)

    def _passes_over(self, ref: BundleRef) -> bool:
        """Whether it was unloaded: its name, or these very files; what cannot be told from them counts as them."""
        digests = self._unloaded.get((ref.name, ref.version))
        is_unloaded = ref.name in self._unloaded_names or (
            digests is not None and _digest(ref.path) in {*digests, None}
        )
        if is_unloaded:
            logger.info(
                "bundle %s version %d is passed over: it was unloaded; /admin/load brings it back",
                *(ref.name, ref.version),
            )
        return is_unloaded


def _digest(folder: Path) -> str | None:
    """That of the bundle that lies there, by the sums it has; None if these cannot be read."""
    try:
        return hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()
    except OSError:
        return None
