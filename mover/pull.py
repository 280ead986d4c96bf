"""Pull: follow the newest run's journal while it grows, restore what it tells of, and prove the result at its end."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from mover.blocks import CHUNK_BYTES, HOLE, ZEROS, ContentDigest, content_digest, zero_tail_digest
from mover.compare import Comparison
from mover.crypto import VolumeKeys
from mover.device import volume_at
from mover.earlier import EVERYTHING, earlier_pass, require_untouched
from mover.entries import (
    DIRECTORY,
    FILE,
    HARD_LINK,
    VOID,
    Entry,
    Record,
    decode_bytes,
    entry_equal,
    from_record,
    join,
    readable,
)
from mover.errors import DestinationRefused, ForeignContent, IntegrityError, PusherSilent
from mover.fetching import Fetcher, PackJob
from mover.journal import CONTINUE, END, LEAVE, Cursor, JournalReader, list_runs, read_manifest
from mover.objectstore import ObjectStore
from mover.pace import Pace
from mover.report import Counters, Reporter
from mover.settings import Settings
from mover.state import State, state_of
from mover.tree import Volume
from mover.writing import Destination, Target

_SHORTEST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_JOBS_PER_THREAD = 2
_STATE_INTERVAL = 1.0
_ZEROS_PER_JOB = 512
_MOST_NAMED = 3


def pull(settings: Settings, path: str, store: ObjectStore, reporter: Reporter) -> dict[str, Any]:
    """Restore the volume below `path`; the fields of the result line."""
    began = time.monotonic()
    keys = VolumeKeys(settings.data_key, settings.prefix)
    volume = volume_at(path, block=settings.block)
    require_directory(volume, f"destination volume {settings.volume}")
    state = state_of(volume)
    comparison = Comparison(settings, volume, store, keys, reporter)
    if not state.exists():
        foreign = list(itertools.islice(volume.names(b""), _MOST_NAMED + 1))
        before = earlier_pass(settings, store, keys) if foreign and settings.pass_number > 1 else None
        if foreign and before is None:
            result = _already_restored(settings, store, keys, comparison, foreign)
            return _result(result, reporter.counters, began)
        if before is not None:
            require_untouched(volume, before, settings, store, keys)
        state.create()
        if before is not None:
            state.record(before.run, EVERYTHING)
    restore = _Restore(settings, volume, store, keys, state, reporter.counters)
    run = restore.follow()
    volume.sync()
    result = comparison.repair(run, before_root=state.remove)
    volume.sync()
    return _result(result, reporter.counters, began)


def _result(found: dict[str, Any], counters: Counters, began: float) -> dict[str, Any]:
    return {**found, "bytes_sent": counters.bytes_sent, "seconds": round(time.monotonic() - began, 3)}


def _already_restored(
    settings: Settings, store: ObjectStore, keys: VolumeKeys, comparison: Comparison, foreign: list[bytes]
) -> dict[str, Any]:
    """The result of the pull that was here before; ForeignContent when this is not what one leaves behind."""
    runs = list_runs(store)
    differences: list[str] = []
    if runs and read_manifest(store, keys, runs[-1], settings.volume) is not None:
        found = comparison.check(runs[-1], differences, repair_root=True)
        if not differences:
            return found
    some = ", ".join(readable(name) for name in foreign[:_MOST_NAMED]) + (", …" if len(foreign) > _MOST_NAMED else "")
    detail = f" It differs from the migration's data in {'; '.join(differences[:3])}." if differences else ""
    raise ForeignContent(
        f"The destination volume {settings.volume} is not empty: it holds {some}, which this migration did not put "
        f"there.{detail} Give an empty claim, or remove its content, and start again."
    )


class _Restore:
    """Follows the journal and keeps threads busy with packs."""

    def __init__(
        self, settings: Settings, volume: Volume, store: ObjectStore, keys: VolumeKeys, state: State, counters: Counters
    ) -> None:
        self._settings = settings
        self._destination = Destination(volume, settings.volume)
        self._volume = volume
        self._store = store
        self._keys = keys
        self._state = state
        self._counters = counters
        self._fetcher = Fetcher(store, keys, counters, settings.volume, Pace(settings.bytes_per_second))
        self._threads = settings.workers
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="fetch")
        self._jobs: deque[tuple[int, list[Future[None]]]] = deque()
        self._recorded = time.monotonic()
        # Whatever an earlier attempt left is looked at before anything is fetched.
        self._fresh = next(volume.names(b""), None) is None
        self._heard = time.monotonic()
        self._earlier: list[Cursor] = []
        self._begin("")

    def follow(self) -> str:
        """Restore until a run's journal is closed; that run. Directories' metadata and hard links are still to come."""
        try:
            run = self._await_run("")
            while True:
                self._begin(run)
                reader = JournalReader(self._store, self._keys, run, self._settings.volume)
                applied = self._state.applied()
                self._trusted = applied.pop(run, 0)
                self._earlier = self._earlier_runs(applied)
                if self._follow_run(reader):
                    return run
                self._drain()
                self._record(reader.number)
                self._fresh = False
                run = self._await_run(run)
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _earlier_runs(self, applied: dict[str, int]) -> list[Cursor]:
        """The journals of runs that were restored in part, newest first, as far as they were."""
        cursors: list[Cursor] = []
        for run, segments in reversed(applied.items()):
            # An earlier journal that cannot be read any more only costs looking at the files themselves.
            with contextlib.suppress(IntegrityError):
                reader = JournalReader(self._store, self._keys, run, self._settings.volume)
                cursors.append(Cursor(reader, segments))
        return cursors

    def _begin(self, run: str) -> None:
        self._run = run
        self._folders: list[bytes] = []
        self._target: Target | None = None
        self._index = 0
        self._trusted = 0
        self._trusting = False
        self._content = ContentDigest(self._keys)
        self._known_chunks: Iterator[Any] | None = None
        self._after_void = False
        self._pack_names: list[str] = []
        self._packs: dict[tuple[int, int], PackJob] = {}
        self._others: list[Callable[[], None]] = []
        self._counters.bytes_done = self._counters.files_done = 0

    def _await_run(self, than: str) -> str:
        """The newest run, once there is one newer than `than`."""
        pause = _SHORTEST_PAUSE
        while True:
            newest = list_runs(self._store)[-1:]
            if newest and newest[0] > than and self._is_due(newest[0]):
                self._heard = time.monotonic()
                return newest[0]
            self._counters.phase = "wait"
            self._pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _is_due(self, run: str) -> bool:
        """Whether a run belongs to the pass that was asked for, or a later one."""
        if self._settings.pass_number <= 1:
            return True
        reader = JournalReader(self._store, self._keys, run, self._settings.volume)
        reader.next()
        return int(reader.head.get("pass", 0)) >= self._settings.pass_number

    def _pause(self, seconds: float) -> None:
        if time.monotonic() - self._heard > self._settings.pull_wait_seconds:
            raise PusherSilent(
                f"Nothing new came for volume {self._settings.volume} in {self._settings.pull_wait_seconds:.0f} "
                "seconds. Look at the push on the source, and start again: what was restored stays."
            )
        time.sleep(seconds)

    def _follow_run(self, reader: JournalReader) -> bool:
        """Whether the run was followed to its end; False when a newer one exists."""
        pause = _SHORTEST_PAUSE
        looked = time.monotonic()
        while True:
            records = reader.next()
            if records is not None:
                self._counters.phase = "pull"
                self._heard = time.monotonic()
                pause = _SHORTEST_PAUSE
                self._require_same_mode(reader)
                self._take_totals(reader)
                self._apply(reader, records)
                continue
            if reader.close is not None:
                self._counters.files_total, self._counters.bytes_total = reader.close["files"], reader.close["bytes"]
                self._drain()
                return True
            self._collect(most=0 if pause >= _LONGEST_PAUSE else None)
            if time.monotonic() - looked >= _LONGEST_PAUSE:
                looked = time.monotonic()
                if list_runs(self._store)[-1:] > [self._run]:
                    return False
            if not self._jobs:
                self._counters.phase = "wait"
            self._pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _require_same_mode(self, reader: JournalReader) -> None:
        if reader.head.get("device", False) == self._volume.is_device:
            return
        there, here = ("a device", "a file system") if reader.head.get("device") else ("a file system", "a device")
        raise DestinationRefused(
            f"The source volume {self._settings.volume} is {there} and the destination is {here}. "
            "Give a claim with the same volumeMode."
        )

    def _take_totals(self, reader: JournalReader) -> None:
        totals = reader.head.get("totals")
        if totals is not None:
            self._counters.files_total, self._counters.bytes_total = totals

    def _apply(self, reader: JournalReader, records: list[Record]) -> None:
        """Make what a segment tells of, and hand its packs to the threads."""
        self._trusting = reader.number <= self._trusted
        self._pack_names = reader.head["packs"]
        for record in records:
            kind = record[0]
            if kind == CONTINUE:
                self._take_chunks(record[1])
            elif kind == END:
                self._end_file(record)
            elif kind == LEAVE:
                self._folders.pop()
            elif kind == FILE:
                self._begin_file(from_record(record))
            elif kind == HARD_LINK:
                self._counters.add(files_done=1)
            else:
                self._make(from_record(record))
        self._submit(reader.number)
        self._collect(most=_JOBS_PER_THREAD * self._threads)

    def _submit(self, number: int) -> None:
        """Give the threads what was gathered; segment `number` is restored once it and all before it are done."""
        futures = [self._pool.submit(self._fetcher.restore, job) for job in self._packs.values()]
        if self._others:
            futures.append(self._pool.submit(_call_all, self._others))
        self._packs, self._others = {}, []
        self._jobs.append((number, futures))

    def _make(self, entry: Entry) -> None:
        path = join(self._folders[-1], entry.name) if self._folders else b""
        if entry.kind == DIRECTORY:
            self._folders.append(path)
            if path and not self._trusting:
                self._destination.make_directory(path)
            return
        if not self._trusting:
            self._destination.make_special(path, entry)
        self._counters.add(files_done=1)

    def _begin_file(self, entry: Entry) -> None:
        whole = entry.content is not None
        if whole and self._trusting:
            self._counters.add(files_done=1, bytes_done=entry.size)
            return
        path = join(self._folders[-1], entry.name)
        self._known_chunks = None
        kept: int | None = None
        known = self._find_earlier(path) if self._earlier else None
        if known is not None:
            kept = self._kept_size(path, entry, *known)
            if kept is not None and whole and _same_file(known[1], entry):
                self._counters.add(files_done=1, bytes_done=entry.size)
                return
            if kept is not None:
                self._known_chunks = known[0].chunks()
        self._volume.expect(entry.size, self._settings.volume)
        chunks, entry.chunks = entry.chunks or [], None
        fresh = self._fresh and not self._trusting and not self._after_void
        self._after_void = False
        target = Target(self._destination, path, entry, fresh=fresh, kept_size=kept)
        self._target, self._index = target, 0
        if whole and known is None and len(chunks) == 1 and chunks[0][0] not in (HOLE, ZEROS):
            self._take_only_chunk(target, entry, chunks[0])
            return
        self._content = ContentDigest(self._keys)
        self._take_chunks(chunks)
        if not whole:
            return
        self._require_content(target, entry.size, entry.content)
        if chunks:
            target.end(entry.size)
        else:
            self._others.append(lambda: self._counters.add(files_done=int(target.end(entry.size))))

    def _take_only_chunk(self, target: Target, entry: Entry, item: list[Any]) -> None:
        """What `_take_chunks` does, for the many files that are one chunk."""
        if content_digest(self._keys, entry.size, [decode_bytes(item[0])]) != entry.content:
            raise self._inconsistent(target)
        self._job(item).add(target, 0, item)
        target.end(entry.size)

    def _job(self, item: list[Any]) -> PackJob:
        job = self._packs.get((item[1], item[2]))
        if job is None:
            job = self._packs[item[1], item[2]] = PackJob(self._pack_names[item[1]], item[2])
        return job

    def _take_chunks(self, items: list[Any]) -> None:
        target = self._target
        assert target is not None
        for item in items:
            offset = self._index * CHUNK_BYTES
            if item[0] in (HOLE, ZEROS):
                self._index += item[1]
                length = min(item[1] * CHUNK_BYTES, target.entry.size - offset)
                full, tail = divmod(length, CHUNK_BYTES)
                self._content.add_zeros(full)
                if tail:
                    self._content.add(zero_tail_digest(self._keys, tail))
                if self._has(item):
                    self._counters.add(bytes_done=length)
                else:
                    self._take_zeros(target, offset, length, hole=item[0] == HOLE or self._volume.is_device)
                continue
            self._index += 1
            self._content.add(decode_bytes(item[0]))
            if self._has(item):
                self._counters.add(bytes_done=item[9])
                continue
            self._job(item).add(target, offset, item)

    def _kept_size(self, path: bytes, entry: Entry, cursor: Cursor, known: Entry) -> int | None:
        """The file's size at the destination if it holds what an earlier run told of it; otherwise None.

        What this pass restored, it holds as long as the version is the same. What an earlier pass restored may have
        been changed since, and has to look untouched.
        """
        try:
            status = self._volume.status(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if int(cursor.reader.head["pass"]) >= self._settings.pass_number:
            holds = _same_version(known, entry)
        else:
            holds = (status.st_size, status.st_mtime_ns) == (known.size, known.mtime)
        return status.st_size if holds and stat.S_ISREG(status.st_mode) else None

    def _find_earlier(self, path: bytes) -> tuple[Cursor, Entry] | None:
        """What the newest earlier run that got this far told of `path`."""
        found = None
        parts = tuple(path.split(b"/"))
        for cursor in list(self._earlier):
            try:
                # Every cursor moves on, so that all stay beside this run.
                entry = cursor.find(parts, lambda _: True)
            except IntegrityError:
                self._earlier.remove(cursor)
                continue
            if entry is not None and found is None:
                found = cursor, entry
        return found

    def _has(self, item: list[Any]) -> bool:
        """Whether the current file's next chunk item was restored before."""
        if self._trusting:
            return True
        if self._known_chunks is None:
            return False
        known = next(self._known_chunks, None)
        if known is not None and item[0] not in (HOLE, ZEROS) and known[0] not in (HOLE, ZEROS):
            # The next ones stand at the same places, whether these are the same or not.
            return bool(known[0] == item[0] and known[9:] == item[9:])
        if known == item:
            return True
        self._known_chunks = None
        return False

    def _take_zeros(self, target: Target, offset: int, length: int, *, hole: bool) -> None:
        step = length if hole else _ZEROS_PER_JOB * CHUNK_BYTES
        for begin in range(offset, offset + length, max(1, step)):
            part = min(step, offset + length - begin)
            target.expect()
            write = target.leave_hole if hole else target.write_zeros

            def fill(write: Callable[[int, int], None] = write, begin: int = begin, part: int = part) -> None:
                write(begin, part)
                self._counters.add(bytes_done=part, files_done=int(target.done()))

            self._others.append(fill)

    def _end_file(self, record: Record) -> None:
        target, self._target = self._target, None
        assert target is not None
        if record[3] & VOID:
            # The file follows anew, and its old chunks must not overtake the new ones.
            self._submit(0)
            self._drain()
            target.abandon()
            self._after_void = True
            return
        self._require_content(target, record[1], decode_bytes(record[2]))
        self._counters.add(files_done=int(target.end(record[1])))

    def _require_content(self, target: Target, size: int, content: bytes | None) -> None:
        """The chunks that the journal lists must make up the content that it states."""
        if self._content.finish(size) != content:
            raise self._inconsistent(target)

    def _inconsistent(self, target: Target) -> IntegrityError:
        return IntegrityError(
            f"The journal of volume {self._settings.volume} lists other chunks for {readable(target.path)} than "
            "its content consists of. Clean the volume's prefix and push again.",
            code="journal-inconsistent",
        )

    def _collect(self, most: int | None = None) -> None:
        """Record what is restored; with `most`, wait until no more than so many jobs are open. Raises what failed."""
        while True:
            while self._jobs and all(future.done() for future in self._jobs[0][1]):
                number, futures = self._jobs.popleft()
                for future in futures:
                    future.result()
                if time.monotonic() - self._recorded > _STATE_INTERVAL and number > self._trusted:
                    self._record(number)
            open_jobs = [future for _, futures in self._jobs for future in futures if not future.done()]
            for _, futures in self._jobs:
                for future in futures:
                    if future.done():
                        future.result()
            if most is None or len(open_jobs) <= most:
                return
            wait(open_jobs, timeout=1.0, return_when=FIRST_COMPLETED)

    def _drain(self) -> None:
        self._collect(most=0)

    def _record(self, segments: int) -> None:
        self._recorded = time.monotonic()
        try:
            self._state.record(self._run, segments)
        except OSError as error:
            raise self._destination.failure(b".kubemotion-mover/state.json", error) from error


def _same_version(known: Entry, entry: Entry) -> bool:
    """Whether two runs told of a file that was not written in between."""
    return (known.kind, known.size, known.mtime, known.inode, known.ctime) == (
        entry.kind,
        entry.size,
        entry.mtime,
        entry.inode,
        entry.ctime,
    )


def _same_file(known: Entry, entry: Entry) -> bool:
    """Whether two runs told the same of a file, in everything that is kept."""
    return known.content == entry.content and entry_equal(known, entry)


def _call_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()


def require_directory(volume: Volume, label: str) -> None:
    """Refuse to work below something that is not a directory."""
    try:
        status = volume.status(b"")
    except OSError as error:
        raise DestinationRefused(
            f"The {label} is not there: {os.strerror(error.errno or 0)}. Check the mount path."
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise DestinationRefused(f"The {label} is not a directory. Check the mount path.")
