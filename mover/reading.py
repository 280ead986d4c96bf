"""Reading the source: opening files, and reading stretches of large ones, sealed in the thread that read them."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mover import direct
from mover.blocks import (
    BLOCK_BYTES,
    CHUNK_BYTES,
    ZEROS,
    SealedBlock,
    is_zero_chunk,
    seal,
)
from mover.buffers import kept
from mover.crypto import RunKeys, VolumeKeys
from mover.entries import UNREAD, Entry, encode_bytes, readable
from mover.errors import SourceUnreadable
from mover.parts import StretchRead, chunk_item
from mover.tree import Unread, Volume
from mover.trouble import Trouble

READ_BYTES = 2 * BLOCK_BYTES


class SourceReader:
    """Opens and reads files of a volume. Thread-safe."""

    def __init__(self, volume: Volume, keys: VolumeKeys, run: str, label: str) -> None:
        self.volume = volume
        self.keys = keys
        self._run_keys: RunKeys = keys.run(run)
        self._label = label
        self._numbers = itertools.count()
        self.changed = Trouble()

    def open(self, path: bytes, *, directly: bool = False) -> tuple[int, os.stat_result] | None:
        """A file's handle and status; None when it is gone or no longer a file."""
        handle = self.handle(path, direct.opened if directly else os.open)
        if handle is None:
            return None
        status = self.volume.status_of(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            return None
        return handle, status

    def handle(self, path: bytes, access: Callable[[bytes, int], int]) -> int | None:
        """What `access` opens at `path`, without a trace where that is possible; None when nothing to read is there."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        near = self.volume.near(path)
        try:
            if near is None:
                with self.volume.reach(path) as reached:
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
        room = kept("read", READ_BYTES)
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
            digest = self.keys.chunk_digest(piece)
            stretch.digests.append(digest)
            if is_zero_chunk(self.keys, digest):
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

    def set_xattrs(self, entry: Entry, path: bytes, xattrs: Mapping[str, bytes], unread: Unread) -> None:
        """Complete a file's entry; what could not be read is told, and tried again by the next run."""
        entry.xattrs = xattrs
        if unread:
            entry.flags |= UNREAD
            self.volume.tell_unread(path, unread)

    def seal(self, plain: memoryview | bytes) -> SealedBlock:
        """Seal a block under the next number."""
        return seal(plain, number=next(self._numbers), keys=self._run_keys)

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
