"""One file being restored: written as its chunks arrive, in any order, by several threads."""

from __future__ import annotations

import errno
import mmap
import os
import stat
import threading

from mover import direct
from mover.blocks import BLOCK_BYTES, LONGEST_BLOCK
from mover.buffers import kept
from mover.crypto import VolumeKeys
from mover.destination import Destination
from mover.entries import Entry
from mover.tree import apply_metadata, copy_data, punch_hole

_ZEROS = memoryview(mmap.mmap(-1, BLOCK_BYTES)).toreadonly()
# From which size on a file is worth a second handle, and a piece of it the way past the page cache.
_LARGE_FILE = BLOCK_BYTES
_LARGE_PIECE = 64 << 10
_NEW = os.O_CREAT | os.O_EXCL
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Target:
    """One file being restored. Its chunks may be written by several threads; the last one completes it."""

    __slots__ = (
        "_destination",
        "_direct",
        "_ended",
        "_fresh",
        "_handle",
        "_kept_size",
        "_lock",
        "_pending",
        "_size",
        "_writing",
        "entry",
        "path",
    )

    def __init__(
        self, destination: Destination, path: bytes, entry: Entry, *, fresh: bool, kept_size: int | None = None
    ) -> None:
        """`kept_size` is the size of a file that is there already and whose chunks count as far as they are known."""
        self.path = path
        self.entry = entry
        self._destination = destination
        self._fresh = fresh
        self._kept_size = kept_size
        self._size = entry.size
        self._handle: int | None = None
        self._direct: int | None = None
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._pending = 0
        self._ended = False

    def expect(self, count: int = 1) -> None:
        """So many more chunks will be written."""
        with self._lock:
            self._pending += count

    def write_whole(self, chunks: int, offset: int, data: memoryview) -> bool:
        """Restore a small new file at once; False, and nothing done, where these chunks are not all of one."""
        entry = self.entry
        if not (
            self._fresh
            and self._ended
            and self._pending == chunks
            and offset == 0
            and len(data) == self._size <= _LARGE_FILE
            and not self._destination.volume.is_device
        ):
            return False
        near = self._destination.volume.near(self.path)
        if near is None:
            return False
        try:
            try:
                handle = os.open(near, _OPEN | _NEW, 0o600)
            except FileExistsError:
                self._fresh = False
                return False
            try:
                _write_all(handle, data, 0)
                apply_metadata(handle, entry, new=True)
            finally:
                os.close(handle)
        except OSError as error:
            raise self._destination.failure(self.path, error, len(data)) from error
        return True

    def holds(self, keys: VolumeKeys, offset: int, length: int, digest: bytes) -> bool:
        """Whether the file already has a chunk, from an earlier attempt."""
        if self._fresh:
            return False
        room = kept("read", LONGEST_BLOCK)
        try:
            handle = self._opened()
            got = direct.read_into(self._opened_directly(handle) or handle, room, length, offset)
        except OSError as error:
            raise self._destination.failure(self.path, error) from error
        return got == length and keys.chunk_digest(room[:length]) == digest

    def write(self, offset: int, data: memoryview, ranges: list[list[int]] | None) -> None:
        """A chunk's bytes; `ranges` are its allocated parts when it has holes."""
        try:
            handle = self._opened()
            if ranges is None or (not self._fresh and not punch_hole(handle, offset, len(data))):
                self._write(handle, data, offset)
                return
            for begin, length in ranges:
                self._write(handle, data[begin : begin + length], offset + begin)
        except OSError as error:
            raise self._destination.failure(self.path, error, len(data)) from error

    def write_zeros(self, offset: int, length: int) -> None:
        """Allocated zeros."""
        try:
            handle = self._opened()
            for begin in range(offset, offset + length, len(_ZEROS)):
                self._write(handle, _ZEROS[: min(len(_ZEROS), offset + length - begin)], begin)
        except OSError as error:
            raise self._destination.failure(self.path, error, length) from error

    def leave_hole(self, offset: int, length: int) -> None:
        """A range without blocks."""
        if self._fresh:
            return
        try:
            if not punch_hole(self._opened(), offset, length):
                self.write_zeros(offset, length)
        except OSError as error:
            raise self._destination.failure(self.path, error, length) from error

    def done(self, count: int = 1) -> bool:
        """So many chunks were written; True when that completed the file."""
        with self._lock:
            self._pending -= count
            last = self._ended and self._pending == 0
        if last:
            self._complete()
        return last

    def end(self, size: int) -> bool:
        """All chunks were announced and the file has this size; True when that completed the file."""
        with self._lock:
            self._size = size
            self._ended = True
            last = self._pending == 0
        if last:
            self._complete()
        return last

    def abandon(self) -> None:
        """Close it as it is."""
        with self._lock:
            for handle in (self._handle, self._direct):
                if handle is not None:
                    os.close(handle)
            self._handle = self._direct = None

    def _write(self, handle: int, data: memoryview, offset: int) -> None:
        """Write, past the page cache what is whole blocks of the disk in aligned memory."""
        whole = len(data) - len(data) % direct.ALIGNMENT
        if whole >= _LARGE_PIECE and offset % direct.ALIGNMENT == 0:
            past_cache = self._opened_directly(handle)
            if past_cache is not None and direct.write_all(past_cache, data[:whole], offset):
                data, offset = data[whole:], offset + whole
        if data:
            # The kernel lets one writer at a time into a file's pages; waiting here is cheaper than there.
            with self._writing:
                _write_all(handle, data, offset)

    def _opened_directly(self, handle: int) -> int | None:
        """A second handle of the same file, for access past the page cache; None for small files."""
        if self._direct is None and self._size >= _LARGE_FILE:
            with self._lock:
                if self._direct is None:
                    self._direct = direct.opened(b"/proc/self/fd/%d" % handle, os.O_RDWR | os.O_CLOEXEC)
        return self._direct

    def _opened(self) -> int:
        handle = self._handle
        if handle is not None:
            return handle
        with self._lock:
            if self._handle is None:
                with self._destination.volume.reach(self.path) as reached:
                    self._handle = self._open(reached)
                    if (self._size > BLOCK_BYTES or not self._fresh) and not self._destination.volume.is_device:
                        os.ftruncate(self._handle, self._size)
            return self._handle

    def _open(self, reached: bytes) -> int:
        if self._destination.volume.is_device:
            return os.open(reached, _OPEN)
        if self._fresh:
            try:
                return os.open(reached, _OPEN | _NEW, 0o600)
            except FileExistsError:
                self._fresh = False
        try:
            handle = os.open(reached, _OPEN | os.O_CREAT, 0o600)
        except OSError as error:
            if error.errno == errno.EACCES and _made_writable(reached):
                return os.open(reached, _OPEN)
            if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES):
                raise
            return self._anew(reached)
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            return self._anew(reached)
        if status.st_nlink > 1:
            # Writing into an inode with several names would change the others, which may be other files by now.
            try:
                copy = self._anew(reached)
                copy_data(handle, copy, status.st_size)
            finally:
                os.close(handle)
            return copy
        return handle

    def _anew(self, reached: bytes) -> int:
        self._destination.remove(self.path)
        return os.open(reached, _OPEN | _NEW, 0o600)

    def _complete(self) -> None:
        if self._handle is None and self._kept_size == self._size:
            # Nothing of it changed but perhaps its metadata, which is compared at the end.
            return
        if self._destination.volume.is_device:
            self.abandon()
            return
        try:
            handle = self._opened()
            status = os.fstat(handle)
            if status.st_size != self._size:
                os.ftruncate(handle, self._size)
            apply_metadata(handle, self.entry, current=status)
        except OSError as error:
            raise self._destination.failure(self.path, error) from error
        finally:
            self.abandon()


def _made_writable(reached: bytes) -> bool:
    """Whether a read-only file of this process's own could be made writable; its mode is set again at its end."""
    status = os.lstat(reached)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_uid != os.geteuid():
        return False
    os.chmod(reached, stat.S_IMODE(status.st_mode) | stat.S_IRUSR | stat.S_IWUSR)
    return True


def _write_all(handle: int, data: memoryview, offset: int) -> None:
    while len(data):
        written = os.pwrite(handle, data, offset)
        data, offset = data[written:], offset + written
