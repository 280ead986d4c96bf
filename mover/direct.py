"""Reading and writing past the page cache, where the file system lets one.

A mover touches everything once. Through the cache that takes fresh memory for every page, throws out what the
applications of the node had there, and counts against the pod's limit. What is dirty there is written out by the kernel
before it is read directly, so that both ways see the same bytes.
"""

from __future__ import annotations

import errno
import fcntl
import os

# What the blocks of every disk in use divide.
ALIGNMENT = 4096

_NOT_HERE = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


def opened(path: bytes, flags: int) -> int:
    """A handle with direct access, or an ordinary one where there is none."""
    try:
        return os.open(path, flags | os.O_DIRECT)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    return os.open(path, flags)


def read_into(handle: int, room: memoryview, length: int, offset: int) -> int:
    """Read `length` bytes, or as many as there are, to the begin of `room`; how many these are.

    `room` begins at a multiple of the alignment, and what lies in it beyond `length` may be overwritten.
    """
    got = 0
    while got < length:
        wanted = min(_rounded_up(length - got), len(room) - got)
        try:
            read = os.preadv(handle, [room[got : got + wanted]], offset + got)
        except OSError as error:
            if error.errno not in _NOT_HERE or not _is_direct(handle):
                raise
            _through_the_cache(handle)
            continue
        if read == 0:
            break
        got += read
        if got % ALIGNMENT and got < length and _is_direct(handle):
            # A direct read comes out short at the file's end alone.
            break
    return min(got, length)


def write_all(handle: int, data: memoryview, offset: int) -> bool:
    """Write `data`; False when this cannot be done directly, and nothing or a part was written."""
    while data:
        try:
            written = os.pwrite(handle, data, offset)
        except OSError as error:
            if error.errno in _NOT_HERE:
                return False
            raise
        if written % ALIGNMENT:
            return False
        data, offset = data[written:], offset + written
    return True


def _rounded_up(count: int) -> int:
    return -(-count // ALIGNMENT) * ALIGNMENT


def _is_direct(handle: int) -> bool:
    return bool(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_DIRECT)


def _through_the_cache(handle: int) -> None:
    fcntl.fcntl(handle, fcntl.F_SETFL, fcntl.fcntl(handle, fcntl.F_GETFL) & ~os.O_DIRECT)
