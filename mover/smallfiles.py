"""Reading small files many at a time: their contents share blocks."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mover import direct
from mover.blocks import BLOCK_BYTES, CHUNK_BYTES, HOLE, ContentDigest, content_digest
from mover.buffers import kept
from mover.crypto import VolumeKeys
from mover.entries import FILE, UNSTABLE, Entry, readable, to_record, weight
from mover.journal import LEAVE
from mover.parts import HEAVY_BYTES, Part, chunk_item
from mover.reading import READ_BYTES, SourceReader
from mover.steady import settled, unchanged, written_just_now
from mover.tree import data_ranges, entry_of, has_holes

_ATTEMPTS = 4


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


def read_batch(reader: SourceReader, items: Sequence[BatchItem]) -> tuple[Part, Sequence[BatchItem]]:
    """Read the small files among `items` in canonical order; None stands for the end of a directory.

    What comes second is left over, because the files have so many attributes.
    """
    part = Part()
    joined = _JoinedBlock(reader, part)
    left: Sequence[BatchItem] = ()
    for number, item in enumerate(items):
        if part.weight >= HEAVY_BYTES:
            left = items[number:]
            break
        entry = joined.read(item) if isinstance(item, SmallFile) else item
        if isinstance(item, SmallFile) and entry is None:
            if item.linked:
                raise FirstLinkVanished(readable(item.path))
            reader.changed.add("vanished", item.path)
            continue
        part.entries.append(entry)
        if entry is None:
            part.records.append([LEAVE])
            continue
        part.records.append(to_record(entry))
        part.weight += weight(entry)
        if entry.kind == FILE:
            part.bytes += entry.size
        part.files += entry.kind != "d"
    joined.seal()
    return part, left


class _JoinedBlock:
    """Collects the contents of small files into as few blocks as they fit in."""

    def __init__(self, reader: SourceReader, part: Part) -> None:
        self._reader = reader
        self._part = part
        self._buffer = kept("read", READ_BYTES)
        self._used = 0
        self._items: list[tuple[list[Any], bytes, int, int, Any]] = []

    def read(self, item: SmallFile) -> Entry | None:
        """The file's entry, its content now in the block; None when it is gone."""
        if len(self._buffer) - self._used < BLOCK_BYTES:
            self.seal()
        found = _small_file(self._reader, item, self._buffer[self._used :])
        if found is None:
            return None
        entry, length, ranges = found
        data = self._buffer[self._used : self._used + length]
        entry.content, chunks = _chunks(self._reader.keys, data, ranges)
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
        if self._items:
            block = self._reader.seal(self._buffer[: self._used])
            for chunk, digest, inner, length, ranges in self._items:
                chunk += chunk_item(digest, block, inner, length, ranges)
            self._part.blocks.append(block)
            self._part.located.append([chunk for chunk, *_ in self._items])
        self._items = []
        self._used = 0


def _small_file(
    reader: SourceReader, item: SmallFile, room: memoryview
) -> tuple[Entry, int, list[tuple[int, int]] | None] | None:
    """The file's entry, the bytes read into `room`, their allocated ranges if it has holes; None when it is gone.

    A file that changes while it is read is read again; one that does not hold still is marked as unstable.
    """
    found = _held_still(reader, item, room)
    if found is not None:
        return found, found.size, None
    path = item.path
    for attempt in range(1, _ATTEMPTS + 1):
        opened = reader.open(path)
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
            xattrs, unread = reader.volume.xattrs_of(handle)
            after = reader.volume.status_of(handle)
        except OSError as error:
            raise reader.unreadable(path, error) from error
        finally:
            os.close(handle)
        if ranges is not None and not _empty_between(room[:got], ranges):
            ranges = None
        steady = unchanged(before, after) and got == before.st_size and not fresh
        if steady or attempt == _ATTEMPTS:
            break
    entry = entry_of(item.name, before)
    if entry is None:
        return None
    reader.set_xattrs(entry, path, xattrs, unread)
    entry.size = got
    if not steady:
        entry.flags |= UNSTABLE
        reader.changed.add("changed-while-read", path)
    return entry, got, ranges


def _held_still(reader: SourceReader, item: SmallFile, room: memoryview) -> Entry | None:
    """The entry of a plain file that is just as the walk saw it, with its bytes in `room`; None for any other."""
    before = item.status
    if written_just_now(before):
        return None
    handle = reader.handle(item.path, os.open)
    if handle is None:
        return None
    try:
        if has_holes(handle, before.st_size):
            return None
        got = os.preadv(handle, [room[: before.st_size + 1]], 0) if before.st_size < len(room) else -1
        xattrs, unread = reader.volume.xattrs_of(handle)
        after = reader.volume.status_of(handle)
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ESPIPE, errno.EINVAL, errno.EAGAIN):
            # No file any more.
            return None
        raise reader.unreadable(item.path, error) from error
    finally:
        os.close(handle)
    if got != before.st_size or after.st_ino != before.st_ino or not unchanged(before, after):
        return None
    entry = entry_of(item.name, after)
    if entry is not None:
        reader.set_xattrs(entry, item.path, xattrs, unread)
    return entry


def _chunks(
    keys: VolumeKeys, data: memoryview, ranges: list[tuple[int, int]] | None
) -> tuple[bytes, list[tuple[bytes, memoryview, list[tuple[int, int]] | None]]]:
    """A small file's content digest, and its chunks: digest, bytes and allocated ranges where there are holes."""
    found: list[tuple[bytes, memoryview, list[tuple[int, int]] | None]] = []
    if len(data) <= CHUNK_BYTES and ranges is None:
        digests = [keys.chunk_digest(data)] if data else []
        found += [(digest, data, None) for digest in digests]
        return content_digest(keys, len(data), digests), found
    content = ContentDigest(keys)
    for begin in range(0, len(data), CHUNK_BYTES):
        piece = data[begin : begin + CHUNK_BYTES]
        digest = keys.chunk_digest(piece)
        content.add(digest)
        found.append((digest, piece, _within(ranges, begin, len(piece))))
    return content.finish(len(data)), found


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
