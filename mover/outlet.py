"""The way out of a push: parts arrive in canonical order, their blocks fill packs, packs are stored several at a time,
and a journal segment is stored as soon as all packs that it speaks of are."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mover.blocks import PACK_BYTES, SealedBlock
from mover.crypto import VolumeKeys
from mover.digest import TreeDigest
from mover.entries import Record
from mover.errors import Superseded
from mover.journal import JournalWriter, list_runs, pack_name
from mover.objectstore import ObjectStore
from mover.pace import Pace
from mover.parts import HEAVY_BYTES, Part
from mover.report import Counters

# Something that yields the next part when its turn has come; called in the outlet's thread.
Step = Callable[[], Part]

_RECORDS_PER_SEGMENT = 4096
_LONGEST_WAIT = 2.0
_HEARTBEAT = 5.0
_LOOK_FOR_OTHERS = 15.0


@dataclass(slots=True)
class _Group:
    """Records, and the pack that must be stored before they may be told; of how many packs they speak."""

    records: list[Record] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    packs: int = 0
    weight: int = 0
    stored: Future[int] | None = None

    @property
    def is_full(self) -> bool:
        """Whether it is enough for a segment."""
        return len(self.records) >= _RECORDS_PER_SEGMENT or self.weight >= HEAVY_BYTES


def _joined(one: _Group, other: _Group) -> _Group:
    """Two groups in one; raises what failed about the other's pack, which is no longer on its way."""
    if other.stored is not None:
        other.stored.result()
    return _Group(
        one.records + other.records,
        one.files + other.files,
        one.bytes + other.bytes,
        one.packs + other.packs,
        one.weight + other.weight,
    )


class Outlet:
    """Writes one run. `put` blocks when the object store is slower than the source."""

    def __init__(
        self,
        store: ObjectStore,
        keys: VolumeKeys,
        run: str,
        head: dict[str, Any],
        counters: Counters,
        workers: int,
        pace: Pace,
    ) -> None:
        self.digest = TreeDigest(keys)
        self._store = store
        self._run = run
        self._head = head
        self._totals_told = False
        self._counters = counters
        self._pace = pace
        self._journal = JournalWriter(store, keys, run)
        self._uploader = ThreadPoolExecutor(workers, thread_name_prefix="upload")
        # A pack keeps its place until the journal tells of it: no more than these are sent again after a kill.
        self._places = threading.BoundedSemaphore(workers)
        self._steps: queue.Queue[Step | None] = queue.Queue(maxsize=2 * workers + 2)
        # Where nothing new has to be stored, the journal is what is waited for.
        self._groups: queue.Queue[_Group | None] = queue.Queue(maxsize=workers + 2)
        self._failure: BaseException | None = None
        self._pack: list[bytes] = []
        self._pack_bytes = 0
        self._pack_number = 0
        self._group = _Group()
        self._group_began = time.monotonic()
        self._assembler = threading.Thread(target=self._guarded(self._assemble), name="assemble", daemon=True)
        self._teller = threading.Thread(target=self._guarded(self._tell), name="journal", daemon=True)

    def start(self) -> None:
        """Announce the run, so that pullers turn to it, and begin to take steps."""
        self._counters.add(bytes_sent=self._journal.append(self._head, []))
        self._head = {}
        self._assembler.start()
        self._teller.start()

    def put(self, step: Step | None) -> None:
        """The next step in canonical order, None after the last; raises what failed behind."""
        while True:
            self.check()
            with contextlib.suppress(queue.Full):
                self._steps.put(step, timeout=0.5)
                return

    def check(self) -> None:
        """Raise what failed behind, if anything did."""
        if self._failure is not None:
            raise self._failure

    def finish(self, closing: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Wait until everything is stored, then close the journal with what `closing` says; that is returned."""
        self.put(None)
        for thread in (self._assembler, self._teller):
            while thread.is_alive():
                thread.join(0.5)
                self.check()
        self.check()
        self._step_back_if_superseded()
        close = {"digest": self.digest.finish(), "files": self.digest.files, "bytes": self.digest.bytes, **closing()}
        self._counters.add(bytes_sent=self._journal.close(close))
        self._uploader.shutdown()
        return close

    def abandon(self) -> None:
        """Take nothing more; what is on its way may still arrive, and does no harm."""
        self._failure = self._failure or Superseded("abandoned")
        self._uploader.shutdown(wait=False, cancel_futures=True)

    def _guarded(self, run: Callable[[], None]) -> Callable[[], None]:
        def guarded() -> None:
            try:
                run()
            except BaseException as error:
                self._failure = self._failure or error
                # If there is no room, the journal's thread is not waiting for more, and sees the failure.
                with contextlib.suppress(queue.Full):
                    self._groups.put_nowait(None)

        return guarded

    def _assemble(self) -> None:
        while self._failure is None:
            try:
                step = self._steps.get(timeout=0.5)
            except queue.Empty:
                if time.monotonic() - self._group_began > _LONGEST_WAIT:
                    self._flush()
                continue
            if step is None:
                self._flush()
                self._hand_on(None)
                return
            self.take(step())

    def take(self, part: Part) -> None:
        """The next part in canonical order; only for steps, in the outlet's own thread."""
        for block, items in zip(part.blocks, part.located, strict=True):
            self._place(block, items)
        for entry in part.entries:
            if entry is None:
                self.digest.leave()
            else:
                self.digest.add(entry)
        self._group.records += part.records
        self._group.files += part.files
        self._group.bytes += part.bytes
        self._group.weight += part.weight
        if (
            self._pack_bytes >= PACK_BYTES
            or self._group.is_full
            or time.monotonic() - self._group_began > _LONGEST_WAIT
        ):
            self._flush()

    def _place(self, block: SealedBlock, items: list[list[Any]]) -> None:
        for item in items:
            item[2], item[3] = self._pack_number, self._pack_bytes
        self._pack.append(block.data)
        self._pack_bytes += len(block.data)

    def _flush(self) -> None:
        self._group_began = time.monotonic()
        if not self._group.records and not self._pack:
            return
        group, self._group = self._group, _Group()
        if self._pack:
            body, number = self._pack, self._pack_number
            self._pack, self._pack_bytes = [], 0
            self._pack_number += 1
            while not self._places.acquire(timeout=0.5):
                if self._failure is not None:
                    return
            group.stored, group.packs = self._uploader.submit(self._upload, number, body), 1
        self._hand_on(group)

    def _hand_on(self, group: _Group | None) -> None:
        while self._failure is None:
            with contextlib.suppress(queue.Full):
                self._groups.put(group, timeout=0.5)
                return

    def _upload(self, number: int, blocks: list[bytes]) -> int:
        length = sum(len(each) for each in blocks)
        self._pace.take(length)
        self._store.put(pack_name(self._run, number), *blocks)
        self._counters.add(bytes_sent=length)
        return length

    def _tell(self) -> None:
        looked = time.monotonic()
        waiting: list[_Group | None] = []
        while True:
            try:
                group = waiting.pop() if waiting else self._groups.get(timeout=_HEARTBEAT)
            except queue.Empty:
                self._append(_Group())
                continue
            if group is None:
                return
            if group.stored is not None:
                self._await(group.stored)
            told = group
            # What is stored as well is told at once, but nothing that is stored waits for something that is not.
            while not told.is_full and not waiting:
                try:
                    following = self._groups.get_nowait()
                except queue.Empty:
                    break
                if following is None or (following.stored is not None and not following.stored.done()):
                    waiting.append(following)
                else:
                    told = _joined(told, following)
            if self._failure is not None:
                return
            self._append(told)
            if time.monotonic() - looked > _LOOK_FOR_OTHERS:
                self._step_back_if_superseded()
                looked = time.monotonic()

    def _await(self, stored: Future[int]) -> None:
        while True:
            try:
                stored.result(timeout=_HEARTBEAT)
            except TimeoutError:
                if stored.done():
                    raise
                self._append(_Group())
            else:
                return

    def _append(self, group: _Group) -> None:
        head: dict[str, Any] = {}
        if not self._totals_told and self._counters.files_total is not None:
            head["totals"] = [self._counters.files_total, self._counters.bytes_total]
            self._totals_told = True
        self._counters.add(bytes_sent=self._journal.append(head, group.records))
        for _ in range(group.packs):
            self._places.release()
        self._counters.add(files_done=group.files, bytes_done=group.bytes)

    def _step_back_if_superseded(self) -> None:
        newest = list_runs(self._store)[-1:]
        if newest and newest[0] > self._run:
            raise Superseded(
                "Another push of the same volume began later and goes on; this one stopped. "
                "Nothing is lost: the other takes over what this one stored."
            )
