"""A file's content digest, read from the disk: every byte, whatever an earlier run said of it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator

from mover import direct, privileges
from mover.blocks import BLOCK_BYTES, CHUNK_BYTES, ContentDigest, content_digest, zero_tail_digest
from mover.buffers import kept
from mover.crypto import VolumeKeys
from mover.entries import DIRECTORY, Entry, readable
from mover.errors import SourceUnreadable
from mover.report import Counters
from mover.stretches import reading_plan
from mover.tree import Volume, has_holes

# What the owner of a directory needs to list it and to reach what is in it.
_INSIDE = stat.S_IRUSR | stat.S_IXUSR


def read_content(
    handle: int,
    status: os.stat_result,
    size: int,
    keys: VolumeKeys,
    counters: Counters,
    content: ContentDigest | None = None,
) -> bytes:
    """The content digest of the first `size` bytes of an open file, made by `content`; raises OSError.

    Holes are not read.
    """
    if content is None and size <= BLOCK_BYTES and not has_holes(handle, size):
        room = kept("read", BLOCK_BYTES)
        data = room[: direct.read_into(handle, room, size, 0)]
        counters.add(bytes_done=len(data))
        pieces = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
        return content_digest(keys, size, [keys.chunk_digest(piece) for piece in pieces])
    content = content or ContentDigest(keys)
    for stretch in reading_plan(handle, status, 0):
        begin, length = stretch.index * CHUNK_BYTES, stretch.count * CHUNK_BYTES
        if stretch.hole:
            full, tail = divmod(min(length, size - begin), CHUNK_BYTES)
            content.add_zeros(full)
            if tail:
                content.add(zero_tail_digest(keys, tail))
            counters.add(bytes_done=full * CHUNK_BYTES + tail)
            continue
        # Reading a hole yields zeros, so ranges within a chunk need no care here.
        room = kept("read", BLOCK_BYTES)
        data = room[: direct.read_into(handle, room, min(length, size - begin), begin)]
        for at in range(0, len(data), CHUNK_BYTES):
            content.add(keys.chunk_digest(data[at : at + CHUNK_BYTES]))
        counters.add(bytes_done=len(data))
    return content.finish(size)


class Contents:
    """The files of one volume. Thread-safe."""

    def __init__(self, volume: Volume, keys: VolumeKeys, counters: Counters, label: str, *, own: bool) -> None:
        """With `own`, what this process may not read is opened up for the moment."""
        self._volume = volume
        self._keys = keys
        self._counters = counters
        self._label = label
        self._opens_up = own and not privileges.has(privileges.DAC_OVERRIDE)

    def digest(self, path: bytes, size: int) -> bytes:
        """The content digest of a file of `size` bytes; SourceUnreadable when it cannot be read."""
        try:
            handle = self._opened(path, direct.opened if size > BLOCK_BYTES else os.open)
        except OSError as error:
            raise self.unreadable(path, error) from error
        try:
            return read_content(handle, self._volume.status_of(handle), size, self._keys, self._counters)
        except OSError as error:
            raise self.unreadable(path, error) from error
        finally:
            os.close(handle)

    def _opened(self, path: bytes, access: Callable[[bytes, int], int]) -> int:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        near = self._volume.near(path)
        if near is not None and not self._opens_up:
            return access(near, flags)
        with self.opened_up(path, self._volume.status(path)), self._volume.reach(path) as reached:
            return access(reached, flags)

    @contextlib.contextmanager
    def opened_up(self, path: bytes, status: os.stat_result) -> Iterator[None]:
        """Readable for this process while the context lasts, where that is its to decide."""
        mode = stat.S_IMODE(status.st_mode)
        if not self._opens_up or mode & stat.S_IRUSR or stat.S_ISLNK(status.st_mode):
            yield
            return
        with self._volume.reach(path) as reached:
            os.chmod(reached, mode | stat.S_IRUSR)
            try:
                yield
            finally:
                os.chmod(reached, mode)

    def open_folder(self, path: bytes, status: os.stat_result) -> int | None:
        """Make a directory one that this process may look into, where that is its to decide; the mode before that, to
        be given back, if it was another."""
        mode = stat.S_IMODE(status.st_mode)
        if not self._opens_up or mode & _INSIDE == _INSIDE:
            return None
        self.set_mode(path, mode | _INSIDE)
        return mode

    def set_mode(self, path: bytes, mode: int) -> None:
        """Set the mode of what is at `path`."""
        with self._volume.reach(path) as reached:
            os.chmod(reached, mode)

    def may_have_opened(self, actual: Entry, wanted: Entry) -> bool:
        """Whether an entry has its mode because a process like this one was killed while it had opened it up."""
        inside = _INSIDE if wanted.kind == DIRECTORY else stat.S_IRUSR
        more = actual.mode ^ wanted.mode
        mine = self._opens_up and actual.uid == os.geteuid()
        return mine and actual.mode == wanted.mode | more and bool(more) and not more & ~inside

    def unreadable(self, path: bytes, error: OSError) -> SourceUnreadable:
        return SourceUnreadable(
            f"{readable(path)} on volume {self._label} cannot be read: {os.strerror(error.errno or 0)}. "
            "Run the mover as the files' owner or with the capability DAC_READ_SEARCH, or check the volume's storage."
        )
