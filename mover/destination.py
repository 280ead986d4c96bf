"""The volume that is being restored: its directories, links and devices, and what went wrong there, for people."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from mover import privileges
from mover.entries import DEVICE, FIFO, SYMLINK, Entry, join, readable
from mover.errors import DestinationRefused, MoverError, NoSpace
from mover.tree import Volume, apply_metadata


class Destination:
    """The volume that is being restored."""

    def __init__(self, volume: Volume, label: str) -> None:
        self.volume = volume
        self.label = label

    def make_directory(self, path: bytes) -> None:
        """A directory at `path` into which this process may write, whatever was there."""
        if not path and self.volume.is_device:
            return
        try:
            with self.volume.reach(path) as reached:
                try:
                    os.mkdir(reached, 0o700)
                except FileExistsError:
                    status = os.lstat(reached)
                    if stat.S_ISDIR(status.st_mode):
                        if status.st_mode & 0o700 != 0o700 and not privileges.has(privileges.DAC_OVERRIDE):
                            os.chmod(reached, stat.S_IMODE(status.st_mode) | 0o700)
                        return
                    os.unlink(reached)
                    os.mkdir(reached, 0o700)
        except OSError as error:
            raise self.failure(path, error) from error

    def make_special(self, path: bytes, entry: Entry) -> bool:
        """A symlink, fifo or device at `path`, with its metadata; False when this process may not make it."""
        try:
            with self.volume.reach(path) as reached:
                try:
                    _make_special(reached, entry)
                except FileExistsError:
                    self.remove(path)
                    _make_special(reached, entry)
                apply_metadata(reached, entry)
        except OSError as error:
            if entry.kind == DEVICE and error.errno in (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL):
                return False
            raise self.failure(path, error) from error
        return True

    def make_hard_link(self, path: bytes, target: bytes) -> None:
        """Another name for the inode at `target`, whatever was at `path`."""
        try:
            with self.volume.reach(path) as reached, self.volume.reach(target) as source:
                try:
                    os.link(source, reached, follow_symlinks=False)
                except FileExistsError:
                    self.remove(path)
                    os.link(source, reached, follow_symlinks=False)
        except OSError as error:
            raise self.failure(path, error) from error

    def remove(self, path: bytes) -> None:
        """Nothing at `path`, nor below it, however deep that goes."""
        # What is being removed, the innermost last; of folders the names that are left in them.
        pending: list[tuple[bytes, Iterator[bytes] | None]] = [(path, None)]
        while pending:
            here, names = pending.pop()
            try:
                if names is None and self._unlink(here):
                    continue
                if names is None:
                    self.make_directory(here)
                    names = self.volume.names(here)
                name = next(names, None)
                if name is not None:
                    pending += [(here, names), (join(here, name), None)]
                    continue
                with self.volume.reach(here) as reached:
                    os.rmdir(reached)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self.failure(here, error) from error

    def _unlink(self, path: bytes) -> bool:
        """Whether something that is no directory was removed."""
        with self.volume.reach(path) as reached:
            if stat.S_ISDIR(os.lstat(reached).st_mode):
                return False
            os.unlink(reached)
        return True

    def failure(self, path: bytes, error: OSError, needed: int | None = None) -> MoverError:
        """A failed operation at `path`, for people."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            free = os.statvfs(self.volume.root)
            need = f"{needed} bytes are needed for it" if needed is not None else "an inode or a block is needed"
            limit = {errno.EDQUOT: "its quota is reached", errno.EFBIG: "its file size limit is reached"}
            why = limit.get(error.errno, "it is full")
            return NoSpace(
                f"No space on the destination volume {self.label} for {readable(path)}: {why}; {need}, "
                f"{free.f_bavail * free.f_frsize} bytes and {free.f_favail} inodes are free. "
                "Make the claim larger and start again: what was restored stays."
            )
        return DestinationRefused(
            f"{readable(path)} on the destination volume {self.label} cannot be written: "
            f"{os.strerror(error.errno or 0)}. Check the volume's storage and the mover's user."
        )


def _make_special(reached: bytes, entry: Entry) -> None:
    if entry.kind == SYMLINK:
        os.symlink(entry.target, reached)
    elif entry.kind == FIFO:
        os.mkfifo(reached, 0o600)
    else:
        sort, major, minor = entry.device
        kind = stat.S_IFCHR if sort == "c" else stat.S_IFBLK
        os.mknod(reached, kind | 0o600, os.makedev(major, minor))
