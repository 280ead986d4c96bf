"""Reading the source: small files many at a time, large ones block by block, each sealed in the thread that read it."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mover import direct
from mover.blocks import (
    BLOCK_BYTES,
    CHUNK_BYTES,
    HOLE,
    ZEROS,
    ContentDigest,
    SealedBlock,
    content_digest,
    is_zero_chunk,
    seal,
)
from mover.buffers import kept
from mover.crypto import RunKeys, VolumeKeys
from mover.entries import FILE, UNSTABLE, Entry, Record, encode_bytes, readable, to_record
from mover.errors import SourceUnreadable
from mover.journal import LEAVE
from mover.tree import Volume, data_ranges, entry_of, has_holes

ATTEMPTS = 4

# Up to Linux 6.12 a file's times only move with the clock's tick, at most 10 ms long: of two writes within one tick the
# second leaves no trace. What was written so shortly before it was read cannot be told from what was written after.
_TICK_NS = 20_000_000

_READ_BYTES = 2 * BLOCK_BYTES


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
    """A file whose content is still to be read, and its status when the walk came by."""

    path: bytes
    name: bytes
    status: os.stat_result

    @property
    def linked(self) -> bool:
        """Whether later names of the same inode refer to it."""
        return self.status.st_nlink > 1


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
        self.changed = Trouble()

    def batch(self, items: Sequence[BatchItem]) -> Part:
        """Read the small files among `items`; None stands for the end of a directory."""
        part = Part()
        joined = _JoinedBlock(self, part)
        for item in items:
            entry = joined.read(item) if isinstance(item, SmallFile) else item
            if isinstance(item, SmallFile) and entry is None:
                if item.linked:
                    raise FirstLinkVanished(readable(item.path))
                self.changed.add("vanished", item.path)
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

    def open(self, path: bytes, *, directly: bool = False) -> tuple[int, os.stat_result] | None:
        """A file's handle and status; None when it is gone or no longer a file."""
        handle = self._handle(path, direct.opened if directly else os.open)
        if handle is None:
            return None
        status = self._volume.status_of(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            return None
        return handle, status

    def _handle(self, path: bytes, access: Callable[[bytes, int], int]) -> int | None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        near = self._volume.near(path)
        try:
            if near is None:
                with self._volume.reach(path) as reached:
                    return _opened(reached, flags, access)
            return _opened(near, flags, access)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.ESTALE):
                return None
            raise self.unreadable(path, error) from error

    def stretch(
        self,
        handle: int,
        path: bytes,
        index: int,
        length: int,
        ranges: list[tuple[int, int]] | None,
        known: Sequence[list[Any] | None],
    ) -> StretchRead:
        """Read consecutive chunks from `index` on, and seal those that are not `known`.

        `ranges` are the allocated parts of a single chunk with holes, relative to its begin. `known` are the items that
        an earlier run's journal has at the same places.
        """
        room = kept("read", _READ_BYTES)
        begin = index * CHUNK_BYTES
        try:
            if ranges is None:
                got = direct.read_into(handle, room, length, begin)
            else:
                room[:length] = bytes(length)
                got = length
                for low, high in ranges:
                    read = direct.read_into(handle, room[low:], high - low, begin + low)
                    if read < high - low:
                        got = low + read
                        break
                    room[high:length] = bytes(length - high)
        except OSError as error:
            raise self.unreadable(path, error) from error
        view = room[:got]
        shown = [] if ranges is None else [[[low, high - low] for low, high in ranges]]
        stretch = StretchRead([], [], got)
        new: list[tuple[list[Any], bytes, memoryview]] = []
        for at, earlier in zip(range(0, got, CHUNK_BYTES), known, strict=False):
            piece = view[at : at + CHUNK_BYTES]
            digest = self._keys.chunk_digest(piece)
            stretch.digests.append(digest)
            if is_zero_chunk(self._keys, digest):
                stretch.items.append([ZEROS, 1])
            elif earlier is not None and earlier[0] == encode_bytes(digest) and earlier[10:] == shown:
                stretch.items.append(earlier)
            else:
                item: list[Any] = []
                stretch.items.append(item)
                new.append((item, digest, piece))
        if new:
            # Copied together only where something in between stays away.
            whole = sum(len(piece) for _, _, piece in new) == got
            plain = view if whole else b"".join(piece for _, _, piece in new)
            stretch.block = self.seal(plain)
            inner = 0
            for item, digest, piece in new:
                item += chunk_item(digest, stretch.block, inner, len(piece), ranges)
                inner += len(piece)
            stretch.located = [item for item, _, _ in new]
        return stretch

    def seal(self, plain: memoryview | bytes) -> SealedBlock:
        """Seal a block under the next number."""
        return seal(plain, number=next(self._numbers), keys=self._run_keys)

    def small_file(self, item: SmallFile, room: memoryview) -> tuple[Entry, int, list[tuple[int, int]] | None] | None:
        """The file's entry, the bytes read into `room`, their allocated ranges if it has holes; None when it is gone.

        A file that changes while it is read is read again; one that does not hold still is marked as unstable.
        """
        found = self._held_still(item, room)
        if found is not None:
            return found, found.size, None
        path = item.path
        for attempt in range(1, ATTEMPTS + 1):
            opened = self.open(path)
            if opened is None:
                return None
            handle, before = opened
            try:
                before = settled(handle, before)
                fresh = written_just_now(before)
                size = min(before.st_size, BLOCK_BYTES)
                ranges = None
                if has_holes(handle, size):
                    allocated = list(data_ranges(handle, size))
                    ranges = allocated if allocated != [(0, size)] else None
                got = direct.read_into(handle, room, size, 0)
                xattrs = self._volume.xattrs_of(handle)
                after = self._volume.status_of(handle)
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
        return entry, got, ranges

    def _held_still(self, item: SmallFile, room: memoryview) -> Entry | None:
        """The entry of a plain file that is just as the walk saw it, with its bytes in `room`; None for any other."""
        before = item.status
        if written_just_now(before):
            return None
        handle = self._handle(item.path, os.open)
        if handle is None:
            return None
        try:
            if has_holes(handle, before.st_size):
                return None
            got = os.preadv(handle, [room[: before.st_size + 1]], 0) if before.st_size < len(room) else -1
            xattrs = self._volume.xattrs_of(handle)
            after = self._volume.status_of(handle)
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.ESPIPE, errno.EINVAL, errno.EAGAIN):
                # No file any more.
                return None
            raise self.unreadable(item.path, error) from error
        finally:
            os.close(handle)
        if got != before.st_size or after.st_ino != before.st_ino or not unchanged(before, after):
            return None
        entry = entry_of(item.name, after)
        if entry is not None:
            entry.xattrs = xattrs
        return entry

    def chunks(
        self, data: memoryview, ranges: list[tuple[int, int]] | None
    ) -> tuple[bytes, list[tuple[bytes, memoryview, list[tuple[int, int]] | None]]]:
        """A small file's content digest, and its chunks: digest, bytes and allocated ranges where there are holes."""
        found: list[tuple[bytes, memoryview, list[tuple[int, int]] | None]] = []
        if len(data) <= CHUNK_BYTES and ranges is None:
            digests = [self._keys.chunk_digest(data)] if data else []
            found += [(digest, data, None) for digest in digests]
            return content_digest(self._keys, len(data), digests), found
        content = ContentDigest(self._keys)
        for begin in range(0, len(data), CHUNK_BYTES):
            piece = data[begin : begin + CHUNK_BYTES]
            digest = self._keys.chunk_digest(piece)
            content.add(digest)
            found.append((digest, piece, _within(ranges, begin, len(piece))))
        return content.finish(len(data)), found

    def unreadable(self, path: bytes, error: OSError) -> SourceUnreadable:
        """The failure to read `path`, for people."""
        if error.errno in (errno.EACCES, errno.EPERM):
            advice = "Run the mover as the files' owner or with the capability DAC_READ_SEARCH."
        else:
            advice = "Check the source volume and its storage."
        return SourceUnreadable(
            f"{readable(path)} on volume {self._label} cannot be read: {os.strerror(error.errno or 0)}. {advice}"
        )


def _opened(path: bytes, flags: int, access: Callable[[bytes, int], int]) -> int:
    try:
        return access(path, flags | os.O_NOATIME)
    except PermissionError:
        # Only the owner may read without leaving a trace.
        return access(path, flags)


@dataclass(slots=True)
class StretchRead:
    """Consecutive chunks of a large file: their digests, items and bytes; a block with those that are new."""

    digests: list[bytes]
    items: list[list[Any]]
    length: int
    block: SealedBlock | None = None
    located: list[list[Any]] = field(default_factory=list)


class _JoinedBlock:
    """Collects the contents of small files into as few blocks as they fit in."""

    def __init__(self, reader: SourceReader, part: Part) -> None:
        self._reader = reader
        self._part = part
        self._buffer = kept("read", _READ_BYTES)
        self._used = 0
        self._items: list[tuple[list[Any], bytes, int, int, Any]] = []

    def read(self, item: SmallFile) -> Entry | None:
        """The file's entry, its content now in the block; None when it is gone."""
        if len(self._buffer) - self._used < BLOCK_BYTES:
            self.seal()
        found = self._reader.small_file(item, self._buffer[self._used :])
        if found is None:
            return None
        entry, length, ranges = found
        data = self._buffer[self._used : self._used + length]
        entry.content, chunks = self._reader.chunks(data, ranges)
        entry.chunks = []
        inner = self._used
        for digest, piece, allocated in chunks:
            chunk: list[Any] = [HOLE, 1] if allocated == [] else []
            entry.chunks.append(chunk)
            if not chunk:
                self._items.append((chunk, digest, inner, len(piece), allocated))
            inner += len(piece)
        self._used += length
        return entry

    def seal(self) -> None:
        """Close the block, and complete the items that point into it."""
        if not self._items:
            return
        block = self._reader.seal(self._buffer[: self._used])
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


@dataclass(slots=True)
class Stretch:
    """So many chunks from `index` on: holes, or to be read at once; `ranges` where one is allocated in part."""

    index: int
    count: int
    hole: bool = False
    ranges: list[tuple[int, int]] | None = None


def reading_plan(handle: int, status: os.stat_result, first: int) -> Iterator[Stretch]:
    """How to read a file from chunk `first` on, at most a block at once."""
    together = BLOCK_BYTES // CHUNK_BYTES
    if not has_holes(handle, status.st_size):
        total = -(-status.st_size // CHUNK_BYTES)
        for index in range(first, total, together):
            yield Stretch(index, min(together, total - index))
        return
    begun: Stretch | None = None
    for index, holes, ranges in _sparse_chunks(handle, status.st_size, first):
        plain = not holes and ranges is None
        if begun is not None and plain and begun.count < together:
            begun.count += 1
            continue
        if begun is not None:
            yield begun
        begun = Stretch(index, 1) if plain else None
        if not plain:
            yield Stretch(index, holes or 1, hole=bool(holes), ranges=ranges)
    if begun is not None:
        yield begun


def _sparse_chunks(handle: int, size: int, first: int) -> Iterator[tuple[int, int, list[tuple[int, int]] | None]]:
    """The chunks of a file with holes: (index, how many holes, allocated ranges of the chunk to read)."""
    total = -(-size // CHUNK_BYTES)
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


def _within(ranges: list[tuple[int, int]] | None, begin: int, length: int) -> list[tuple[int, int]] | None:
    """The part of `ranges` that lies in a chunk, relative to its begin; None where all of it is allocated."""
    if ranges is None:
        return None
    found = [
        (max(low, begin) - begin, min(high, begin + length) - begin)
        for low, high in ranges
        if low < begin + length and high > begin
    ]
    return None if found == [(0, length)] else found


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
