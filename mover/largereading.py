"""Reading large files in stretches, several at a time, and once more where one changed meanwhile."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mover.bases import Base
from mover.blocks import CHUNK_BYTES, HOLE
from mover.entries import UNREAD, UNSTABLE
from mover.largefile import LargeFile
from mover.parts import Part
from mover.reading import SourceReader
from mover.steady import settled, unchanged, written_just_now
from mover.stretches import reading_plan
from mover.tree import entry_of

_ATTEMPTS = 3


class LargeReading:
    """Hands the stretches of large files to the threads of `pool`."""

    def __init__(
        self, reader: SourceReader, pool: ThreadPoolExecutor, workers: int, take: Callable[[Part], None]
    ) -> None:
        """`take` takes a part at once; only `end`, which runs when the file's turn has come, does so."""
        self._reader = reader
        self._volume = reader.volume
        self._keys = reader.keys
        self._pool = pool
        self._workers = workers
        self._take = take

    def open(self, path: bytes) -> LargeFile | None:
        """The file at `path`, ready to be read; None when it is gone."""
        opened = self._reader.open(path, directly=True)
        if opened is None:
            return None
        handle, status = opened
        status = settled(handle, status)
        entry = entry_of(path.rpartition(b"/")[2], status)
        if entry is None:
            os.close(handle)
            return None
        entry.xattrs, unread = self._volume.xattrs_of(handle)
        entry.flags = UNREAD if unread else 0
        fresh = written_just_now(status)
        if fresh:
            # Should this run end within the file, the next must not go on in it.
            entry.flags |= UNSTABLE
        large = LargeFile(self._keys, path, entry)
        large.handle, large.before, large.fresh, large.unread = handle, status, fresh, unread
        return large

    def chunks(
        self,
        large: LargeFile,
        first: int,
        put: Callable[[Callable[[], Part]], None],
        base: Base | None = None,
    ) -> None:
        """Give `put` the chunks from `first` on, in order; those that `base`, whose cursor is at the file, has as well
        are not sealed again."""
        assert large.before is not None
        size = large.before.st_size
        known = base.items() if base is not None else itertools.repeat(None)
        for stretch in reading_plan(large.handle, large.before, first):
            earlier = list(itertools.islice(known, stretch.count)) if not stretch.hole else []
            if stretch.hole:
                next(itertools.islice(known, stretch.count, stretch.count), None)
                put(functools.partial(large.take_items, [[HOLE, stretch.count]]))
                continue
            length = min(stretch.count * CHUNK_BYTES, size - stretch.index * CHUNK_BYTES)
            read = self._pool.submit(
                self._reader.stretch, large.handle, large.path, stretch.index, length, stretch.ranges, earlier
            )
            put(functools.partial(large.take_read, read, length))

    def end(self, large: LargeFile, attempt: int) -> Part:
        """The end of a large file; when it changed meanwhile it is read again right here, which is rare."""
        assert large.before is not None
        try:
            steady = not (large.short or large.fresh) and unchanged(large.before, self._volume.status_of(large.handle))
        finally:
            os.close(large.handle)
        again = self.open(large.path) if not steady and attempt < _ATTEMPTS else None
        if again is None and large.unread:
            self._volume.tell_unread(large.path, large.unread)
        if steady:
            return large.end(large.before.st_size, 0)
        if again is None:
            self._reader.changed.add("changed-while-read", large.path)
            return large.end(large.got if large.short else large.before.st_size, UNSTABLE)
        parts = [large.void(), again.begin()]
        waiting: list[Callable[[], Part]] = []

        def put(step: Callable[[], Part]) -> None:
            waiting.append(step)
            if len(waiting) > self._workers + 1:
                self._take(waiting.pop(0)())

        for part in parts:
            self._take(part)
        self.chunks(again, 0, put)
        for step in waiting:
            self._take(step())
        return self.end(again, attempt + 1)
