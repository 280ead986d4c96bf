"""Files past the page cache: what is stored is read once at most, and a machine's memory is not the store's to fill.

Writing into fresh pages costs a virtual machine several times what the disk takes. Where a file system knows no direct
access, everything goes through the cache as usual.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path

PIECE_BYTES = 1 << 20
# What every disk's blocks divide.
_ALIGNMENT = 4096
_local = threading.local()


def buffer() -> memoryview:
    """This thread's buffer, aligned as direct access needs it."""
    if not hasattr(_local, "buffer"):
        _local.buffer = memoryview(mmap.mmap(-1, PIECE_BYTES))
    view: memoryview = _local.buffer
    return view


class Writer:
    """Writes a new file from pieces of any length, collected in this thread's buffer."""

    def __init__(self, path: Path) -> None:
        self._handle = _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        self._used = 0

    def write(self, data: memoryview | bytes) -> None:
        """The next bytes."""
        view = memoryview(data)
        while view:
            part = view[: PIECE_BYTES - self._used]
            buffer()[self._used : self._used + len(part)] = part
            self._used += len(part)
            view = view[len(part) :]
            if self._used == PIECE_BYTES:
                self._flush()

    def finish(self) -> None:
        """Write what is left."""
        if self._used % _ALIGNMENT:
            _through_the_cache(self._handle)
        self._flush()

    def close(self) -> None:
        """Give the handle back."""
        os.close(self._handle)

    def _flush(self) -> None:
        rest = buffer()[: self._used]
        self._used = 0
        while rest:
            try:
                rest = rest[os.write(self._handle, rest) :]
            except OSError as error:
                if error.errno != errno.EINVAL or not fcntl.fcntl(self._handle, fcntl.F_GETFL) & os.O_DIRECT:
                    raise
                _through_the_cache(self._handle)


def pieces(path: Path, start: int, size: int) -> Iterator[memoryview]:
    """`size` bytes of a file from `start` on, each piece valid until the next is asked for."""
    handle = _opened(path, os.O_RDONLY)
    try:
        while size > 0:
            skipped = start % _ALIGNMENT
            try:
                got = os.preadv(handle, [buffer()], start - skipped) - skipped
            except OSError as error:
                if error.errno != errno.EINVAL or not fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_DIRECT:
                    raise
                _through_the_cache(handle)
                continue
            if got <= 0:
                return
            yield buffer()[skipped : skipped + min(got, size)]
            start, size = start + got, size - got
    finally:
        os.close(handle)


def _opened(path: Path, flags: int) -> int:
    with contextlib.suppress(OSError):
        return os.open(path, flags | os.O_DIRECT | os.O_CLOEXEC, 0o600)
    return os.open(path, flags & ~os.O_EXCL | os.O_CLOEXEC, 0o600)


def _through_the_cache(handle: int) -> None:
    fcntl.fcntl(handle, fcntl.F_SETFL, fcntl.fcntl(handle, fcntl.F_GETFL) & ~os.O_DIRECT)
