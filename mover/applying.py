"""Making what the journal tells of: directories and links at once, files by the packs that hold their chunks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from mover.blocks import CHUNK_BYTES, HOLE, ZEROS, ContentDigest, content_digest, zero_tail_digest
from mover.crypto import VolumeKeys
from mover.destination import Destination
from mover.entries import DIRECTORY, FILE, HARD_LINK, VOID, Entry, Record, decode_bytes, from_record, join, readable
from mover.errors import PUSH_ANEW, IntegrityError
from mover.fetching import Fetcher, PackJob
from mover.jobs import Jobs
from mover.journal import CONTINUE, END, LEAVE
from mover.report import Counters
from mover.restored import Restored
from mover.target import Target

_ZEROS_PER_JOB = 512


class Applier:
    """One run's. Directories' metadata and hard links are left to the comparison at the end."""

    def __init__(
        self,
        destination: Destination,
        keys: VolumeKeys,
        fetcher: Fetcher,
        jobs: Jobs,
        counters: Counters,
        restored: Restored,
        *,
        trusted: int,
        fresh: bool,
    ) -> None:
        """The first `trusted` segments are restored already; `fresh` is a destination that was empty."""
        self._destination = destination
        self._volume = destination.volume
        self._keys = keys
        self._fetcher = fetcher
        self._jobs = jobs
        self._counters = counters
        self._restored = restored
        self._trusted = trusted
        self._fresh = fresh
        self._trusting = False
        self._folders: list[bytes] = []
        self._target: Target | None = None
        self._index = 0
        self._content = ContentDigest(keys)
        self._after_void = False
        self._pack_names: list[str] = []
        self._packs: dict[tuple[int, int], PackJob] = {}
        self._others: list[Callable[[], None]] = []

    def apply(self, records: list[Record], number: int, pack_names: list[str]) -> None:
        """Make what segment `number` tells of, and hand its packs, which are those of `pack_names`, to the threads."""
        self._trusting = number <= self._trusted
        self._pack_names = pack_names
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
        self._submit(number)

    def _submit(self, number: int) -> None:
        """Give the threads what was gathered for segment `number`."""
        calls: list[Callable[[], None]] = [
            functools.partial(self._fetcher.restore, job) for job in self._packs.values()
        ]
        if self._others:
            calls.append(functools.partial(_call_all, self._others))
        self._packs, self._others = {}, []
        self._jobs.submit(number, calls)

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
        known = self._restored.find(path, entry)
        if known is not None and known.unchanged and whole:
            self._counters.add(files_done=1, bytes_done=entry.size)
            return
        self._volume.expect(entry.size, self._destination.label)
        chunks, entry.chunks = entry.chunks or [], None
        fresh = self._fresh and not self._trusting and not self._after_void
        self._after_void = False
        target = Target(self._destination, path, entry, fresh=fresh, kept_size=known.size if known else None)
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
                if self._trusting or self._restored.has(item):
                    self._counters.add(bytes_done=length)
                else:
                    self._take_zeros(target, offset, length, hole=item[0] == HOLE or self._volume.is_device)
                continue
            self._index += 1
            self._content.add(decode_bytes(item[0]))
            if self._trusting or self._restored.has(item):
                self._counters.add(bytes_done=item[9])
                continue
            self._job(item).add(target, offset, item)

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
            self._jobs.drain()
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
            f"The journal of volume {self._destination.label} lists other chunks for {readable(target.path)} than "
            f"its content consists of. {PUSH_ANEW}",
            code="journal-inconsistent",
        )


def _call_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()
