"""Reading the source: small files many at a time, large ones chunk by chunk, each sealed in the thread that read it."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mover.blocks import (
    CHUNK_BYTES,
    HOLE,
    ZEROS,
    ContentDigest,
    SealedBlock,
    is_zero_chunk,
    seal,
)
from mover.crypto import RunKeys, VolumeKeys
from mover.entries import FILE, UNSTABLE, Entry, Record, encode_bytes, join, readable, to_record
from mover.errors import SourceUnreadable
from mover.journal import LEAVE
from mover.tree import Volume, data_ranges, entry_of, looks_sparse, read_xattrs

ATTEMPTS = 4

# Up to Linux 6.12 a file's times only move with the clock's tick, at most 10 ms long: of two writes within one tick the
# second leaves no trace. What was written so shortly before it was read cannot be told from what was written after.
_TICK_NS = 20_000_000

_local = threading.local()


@dataclass(slots=True)
class Part:
    """A stretch of the journal with the blocks that it brings along. Chunk items of `located[i]` lie in `blocks[i]`."""

    records: list[Record] = field(default_factory=list)
    entries: list[Entry | None] = field(default_factory=list)
    blocks: list[SealedBlock] = field(default_factory=list)
    located: list[list[list[Any]]] = field(default_factory=list)
    files: int = 0
    bytes: int = 0


@dataclass(slots=True)
class SmallFile:
    """A file whose content is still to be read."""

    folder: bytes
    name: bytes
    # Whether later names of the same inode refer to it.
    linked: bool


BatchItem = Entry | SmallFile | None


class FirstLinkVanished(Exception):
    """The name under which a hard-linked file was to be told is gone, and others refer to it."""


class Trouble:
    """What could not be carried over faithfully, counted by kind with one example each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, what: str, path: bytes) -> None:
        """One more of this kind."""
        with self._lock:
            count, example = self._found.get(what, (0, readable(path)))
            self._found[what] = (count + 1, example)

    def listed(self) -> list[dict[str, Any]]:
        """For the result line."""
        with self._lock:
            return [
                {"what": what, "count": count, "example": example}
                for what, (count, example) in sorted(self._found.items())
            ]


class SourceReader:
    """Turns files of a volume into parts. Thread-safe."""

    def __init__(self, volume: Volume, keys: VolumeKeys, run: str, label: str) -> None:
        self._volume = volume
        self._keys = keys
        self._run_keys: RunKeys = keys.run(run)
        self._label = label
        self._numbers = itertools.count()
        self._atime_flag = os.O_NOATIME
        self.changed = Trouble()

    def batch(self, items: Sequence[BatchItem]) -> Part:
        """Read the small files among `items`; None stands for the end of a directory."""
        part = Part()
        joined = _JoinedBlock(self, part)
        for item in items:
            entry = joined.read(item) if isinstance(item, SmallFile) else item
            if isinstance(item, SmallFile) and entry is None:
                if item.linked:
                    raise FirstLinkVanished(readable(join(item.folder, item.name)))
                self.changed.add("vanished", join(item.folder, item.name))
                continue
            part.entries.append(entry)
            if entry is None:
                part.records.append([LEAVE])
                continue
            part.records.append(to_record(entry))
            if entry.kind == FILE:
                part.bytes += entry.size
            part.files += entry.kind != "d"
        joined.seal()
        return part

    def open(self, path: bytes) -> tuple[int, os.stat_result] | None:
        """A file's handle and status; None when it is gone or no longer a file."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with self._volume.reach(path) as reached:
            try:
                try:
                    handle = os.open(reached, flags | self._atime_flag)
                except PermissionError:
                    # Only the owner may read without leaving a trace.
                    handle = os.open(reached, flags)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.ESTALE):
                    return None
                raise self.unreadable(path, error) from error
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            return None
        return handle, status

    def chunk(
        self, handle: int, path: bytes, index: int, length: int, ranges: list[tuple[int, int]] | None
    ) -> ChunkRead:
        """Read and seal one chunk; `ranges` are its allocated parts when it has holes, relative to its begin."""
        view = memoryview(_buffer())[:length]
        begin = index * CHUNK_BYTES
        try:
            if ranges is None:
                got = _read_into(handle, view, begin)
            else:
                view[:] = bytes(length)
                got = length
                for low, high in ranges:
                    read = _read_into(handle, view[low:high], begin + low)
                    if read < high - low:
                        got = low + read
                        break
        except OSError as error:
            raise self.unreadable(path, error) from error
        view = view[:got]
        if got == 0:
            return ChunkRead(b"", [], None, 0)
        digest = self._keys.chunk_digest(view)
        if is_zero_chunk(self._keys, digest):
            return ChunkRead(digest, [ZEROS, 1], None, got)
        block = seal(view, number=next(self._numbers), keys=self._run_keys)
        return ChunkRead(digest, chunk_item(digest, block, 0, got, ranges), block, got)

    def seal_joined(self, plain: memoryview) -> SealedBlock:
        """Seal a block of several small files."""
        return seal(plain, number=next(self._numbers), keys=self._run_keys)

    def small_file(self, item: SmallFile, room: memoryview) -> tuple[Entry, bytes, int, Any] | None:
        """The file's entry, its chunk's digest, the bytes used of `room`, its allocated ranges; None when it is gone.

        A file that changes while it is read is read again; one that does not hold still is marked as unstable.
        """
        path = join(item.folder, item.name)
        for attempt in range(1, ATTEMPTS + 1):
            opened = self.open(path)
            if opened is None:
                return None
            handle, before = opened
            try:
                before = settled(handle, before)
                fresh = written_just_now(before)
                size = min(before.st_size, CHUNK_BYTES)
                ranges = None
                if looks_sparse(before):
                    found = list(data_ranges(handle, size))
                    ranges = found if found != [(0, size)] else None
                got = _read_into(handle, room[:size], 0)
                xattrs = read_xattrs(handle)
                after = os.fstat(handle)
            except OSError as error:
                raise self.unreadable(path, error) from error
            finally:
                os.close(handle)
            if ranges is not None and not _empty_between(room[:got], ranges):
                ranges = None
            steady = unchanged(before, after) and got == before.st_size and not fresh
            if steady or attempt == ATTEMPTS:
                break
        entry = entry_of(item.name, before)
        if entry is None:
            return None
        entry.xattrs = xattrs
        entry.size = got
        if not steady:
            entry.flags = UNSTABLE
            self.changed.add("changed-while-read", path)
        digest = self._keys.chunk_digest(room[:got]) if got else b""
        return entry, digest, got, ranges

    def content_digest(self, digest: bytes, size: int) -> bytes:
        """The content digest of a file of one chunk."""
        content = ContentDigest(self._keys)
        if size:
            content.add(digest)
        return content.finish(size)

    def unreadable(self, path: bytes, error: OSError) -> SourceUnreadable:
        """The failure to read `path`, for people."""
        if error.errno in (errno.EACCES, errno.EPERM):
            advice = "Run the mover as the files' owner or with the capability DAC_READ_SEARCH."
        else:
            advice = "Check the source volume and its storage."
        return SourceUnreadable(
            f"{readable(path)} on volume {self._label} cannot be read: {os.strerror(error.errno or 0)}. {advice}"
        )


@dataclass(slots=True)
class ChunkRead:
    """One chunk of a large file: its digest, its journal item, its block unless it is all zeros, and the bytes read."""

    digest: bytes
    item: list[Any]
    block: SealedBlock | None
    length: int


class _JoinedBlock:
    """Collects the contents of small files into as few blocks as they fit in."""

    def __init__(self, reader: SourceReader, part: Part) -> None:
        self._reader = reader
        self._part = part
        self._buffer = _buffer()
        self._used = 0
        self._items: list[tuple[list[Any], bytes, int, int, Any]] = []

    def read(self, item: SmallFile) -> Entry | None:
        """The file's entry, its content now in the block; None when it is gone."""
        if len(self._buffer) - self._used < CHUNK_BYTES:
            self.seal()
        found = self._reader.small_file(item, memoryview(self._buffer)[self._used :])
        if found is None:
            return None
        entry, digest, length, ranges = found
        entry.content = self._reader.content_digest(digest, length)
        entry.chunks = []
        if ranges == []:
            entry.chunks.append([HOLE, 1])
        elif length:
            chunk: list[Any] = []
            entry.chunks.append(chunk)
            self._items.append((chunk, digest, self._used, length, ranges))
            self._used += length
        return entry

    def seal(self) -> None:
        """Close the block, and complete the items that point into it."""
        if not self._items:
            return
        block = self._reader.seal_joined(memoryview(self._buffer)[: self._used])
        for chunk, digest, inner, length, ranges in self._items:
            chunk += chunk_item(digest, block, inner, length, ranges)
        self._part.blocks.append(block)
        self._part.located.append([chunk for chunk, *_ in self._items])
        self._items = []
        self._used = 0


def chunk_item(
    digest: bytes, block: SealedBlock, inner: int, length: int, ranges: list[tuple[int, int]] | None
) -> list[Any]:
    """The journal's item of a chunk, its pack and offset there still to be set."""
    item = [
        encode_bytes(digest),
        0,
        None,
        None,
        len(block.data),
        block.plain_length,
        block.codec,
        block.number,
        inner,
        length,
    ]
    if ranges is not None:
        item.append([[low, high - low] for low, high in ranges])
    return item


def unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file is the same in everything that a write would change."""
    return (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def written_just_now(status: os.stat_result) -> bool:
    """Whether a further write could still leave the same times. Times of a clock that is ahead tell nothing."""
    return 0 <= time.time_ns() - status.st_ctime_ns < _TICK_NS


def settled(handle: int, status: os.stat_result) -> os.stat_result:
    """The status of a file before it is read; one that was written just now gets a moment to pass its tick."""
    if not written_just_now(status):
        return status
    time.sleep(_TICK_NS / 1e9)
    return os.fstat(handle)


def chunk_plan(
    handle: int, status: os.stat_result, first: int
) -> Iterator[tuple[int, int, list[tuple[int, int]] | None]]:
    """How to read a file from chunk `first` on: (index, how many holes, allocated ranges of the chunk to read)."""
    size = status.st_size
    total = -(-size // CHUNK_BYTES)
    if not looks_sparse(status):
        for index in range(first, total):
            yield index, 0, None
        return
    index = first
    ranges: list[tuple[int, int]] = []
    for begin, end in data_ranges(handle, size):
        while begin < end:
            at = begin // CHUNK_BYTES
            if at > index and ranges:
                yield index, 0, _or_whole(ranges, index, size)
                ranges, index = [], index + 1
            if at > index:
                yield index, at - index, None
                index = at
            stop = min(end, (at + 1) * CHUNK_BYTES)
            if at == index:
                ranges.append((begin - at * CHUNK_BYTES, stop - at * CHUNK_BYTES))
            begin = stop
    if ranges:
        yield index, 0, _or_whole(ranges, index, size)
        index += 1
    if index < total:
        yield index, total - index, None


def _empty_between(data: memoryview, ranges: list[tuple[int, int]]) -> bool:
    """Whether all that lies outside `ranges` is zeros, as the file system promised."""
    at = 0
    for begin, end in [*ranges, (len(data), len(data))]:
        if begin > at and data[at:begin] != bytes(begin - at):
            return False
        at = end
    return True


def _or_whole(ranges: list[tuple[int, int]], index: int, size: int) -> list[tuple[int, int]] | None:
    return None if ranges == [(0, min(CHUNK_BYTES, size - index * CHUNK_BYTES))] else ranges


def _buffer() -> bytearray:
    if not hasattr(_local, "buffer"):
        _local.buffer = bytearray(2 * CHUNK_BYTES)
    buffer: bytearray = _local.buffer
    return buffer


def _read_into(handle: int, view: memoryview, offset: int) -> int:
    got = 0
    while got < len(view):
        read = os.preadv(handle, [view[got:]], offset + got)
        if read == 0:
            break
        got += read
    return got
