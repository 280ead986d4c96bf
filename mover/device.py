"""A raw block device as a volume: a tree with one file, which is the device.

A regular file may stand for a device, as a loop device's backing file does.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping

from mover.entries import Entry
from mover.errors import NoSpace, UsageError
from mover.tree import Unread, Volume

NAME = b"device"


class Device(Volume):
    """What the mover asks of a tree, answered for a device. The node that names it has no metadata to carry."""

    is_device = True

    def __init__(self, path: str) -> None:
        super().__init__(path)
        # Nothing tells when a device was written, so that every pass has to read all of it.
        self._looked = time.time_ns() - 10**9
        self._size = self._whole = self._measured()

    def _measured(self) -> int:
        handle = os.open(self.root, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.lseek(handle, 0, os.SEEK_END)
        finally:
            os.close(handle)

    def near(self, path: bytes) -> bytes:
        """The device; there is nothing else."""
        if path not in (b"", NAME):
            raise FileNotFoundError(path)
        return self.root

    def names(self, folder: bytes) -> Iterator[bytes]:
        """The device, in the root."""
        return iter([NAME] if not folder else [])

    def status(self, path: bytes) -> os.stat_result:
        """A plain directory's for the root, a plain file's for the device."""
        if path not in (b"", NAME):
            raise FileNotFoundError(path)
        return self._as_file() if path else _plain(stat.S_IFDIR | 0o755, 0, 0)

    def status_of(self, handle: int) -> os.stat_result:
        """The same whenever it is asked."""
        return self._as_file()

    def _as_file(self) -> os.stat_result:
        return _plain(stat.S_IFREG | 0o600, self._size, self._looked)

    def xattrs_of(self, handle: int) -> tuple[Mapping[str, bytes], Unread]:
        """None."""
        return {}, ()

    def describe(self, path: bytes, status: os.stat_result | None = None) -> Entry | None:
        """Without attributes, and with a time that is the same on both sides."""
        found = super().describe(path, status or self.status(path))
        if found is not None:
            found.xattrs = {}
        return found

    def expect(self, size: int, label: str) -> None:
        """Restore into the first `size` bytes; NoSpace when there are not so many."""
        if size > self._whole:
            raise NoSpace(
                f"The destination device {label} has {self._whole} bytes, and the source has {size}. "
                "Give a claim at least as large."
            )
        self._size = size

    def sync(self) -> None:
        """Everything written is on the device; OSError when that failed."""
        handle = os.open(self.root, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _plain(mode: int, size: int, changed: int) -> os.stat_result:
    """A stat result of root's, never modified, with every block allocated."""
    whole = (mode, 0, 0, 1, 0, 0, size, 0, 0, changed // 10**9)
    extra = {"st_atime_ns": 0, "st_mtime_ns": 0, "st_ctime_ns": changed, "st_blocks": -(-size // 512), "st_rdev": 0}
    return os.stat_result(whole, extra)


def volume_at(path: str, *, block: bool) -> Volume:
    """The tree at `path`, or with `block` the device; UsageError when that is neither a device nor a file."""
    if not block:
        return Volume(path)
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise UsageError(f"The device {path} is not there: {os.strerror(error.errno or 0)}.") from error
    if not (stat.S_ISBLK(mode) or stat.S_ISREG(mode)):
        raise UsageError(f"MOVER_VOLUME_MODE is Block, and {path} is not a device.")
    return Device(path)
