"""The file system side: listing a tree in canonical order, reading an entry's metadata, and setting it.

Paths are bytes relative to the volume's root, and may be longer than the kernel takes in one call (`Volume.reach`).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence

from mover.entries import DEVICE, DIRECTORY, FIFO, FILE, SYMLINK, Entry
from mover.names import sorted_names

STATE_FOLDER = b".kubemotion-mover"
LOST_AND_FOUND = b"lost+found"
# Folders of the root that are no part of its content.
NOT_CARRIED = frozenset({STATE_FOLDER, LOST_AND_FOUND})

# A label of the cluster's security policy, not of the data: the container runtime gives each volume its own.
_FOREIGN_XATTRS = frozenset({"security.selinux"})
_REFINES_MODE = "system.posix_acl_"
_LONGEST_PATH = 3800
_PERMISSIONS = 0o7777
_NO_XATTRS: Mapping[str, bytes] = {}
# Where one attribute cannot be read, for want of a right, because it is too large or because it means nothing here (a
# capability of another user namespace, EOVERFLOW), all else of the entry still can.
_UNREAD_ERRORS = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENODATA, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
    | {errno.ERANGE, errno.E2BIG, errno.EOVERFLOW}
)

# The names of attributes that are listed and cannot be read, each with the error's number. An empty name stands for
# all of them, where not even their names are told.
Unread = Sequence[tuple[str, int]]
_ALL_READ: Unread = ()


class Volume:
    """A tree on disk, by its root directory."""

    is_device = False

    def __init__(self, path: str) -> None:
        self.root = os.fsencode(path).rstrip(b"/") or b"/"
        self._base = self.root if self.root != b"/" else b""
        # Is told of what could not be read of an entry that `describe` gives.
        self.tell_unread: Callable[[bytes, Unread], None] = _tell_nobody

    def near(self, path: bytes) -> bytes | None:
        """A path that the kernel takes for `path`; None when it is too long for one call, and has to be reached."""
        if len(path) + len(self.root) >= _LONGEST_PATH:
            return None
        return self._base + b"/" + path if path else self.root

    @contextlib.contextmanager
    def reach(self, path: bytes) -> Iterator[bytes]:
        """A path that the kernel takes for `path`, however long that is, while the context lasts."""
        near = self.near(path)
        if near is not None:
            yield near
            return
        handle = os.open(self.root, os.O_PATH | os.O_DIRECTORY)
        try:
            rest = path
            while len(rest) >= _LONGEST_PATH:
                cut = rest.rindex(b"/", 0, _LONGEST_PATH)
                step = os.open(rest[:cut], os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
                os.close(handle)
                handle, rest = step, rest[cut + 1 :]
            yield b"/proc/self/fd/%d/%s" % (handle, rest)
        finally:
            os.close(handle)

    def names(self, folder: bytes) -> Iterator[bytes]:
        """The names in a directory in canonical order; at the root without lost+found and the mover's own folder."""
        with self.reach(folder) as reached:
            names = sorted_names(reached)
        if not folder:
            return (name for name in names if not self._is_not_carried(name))
        return names

    def status(self, path: bytes) -> os.stat_result:
        """lstat of `path`."""
        near = self.near(path)
        if near is not None:
            return os.lstat(near)
        with self.reach(path) as reached:
            return os.lstat(reached)

    def status_of(self, handle: int) -> os.stat_result:
        """fstat of an open file."""
        return os.fstat(handle)

    def xattrs_of(self, handle: int) -> tuple[Mapping[str, bytes], Unread]:
        """The extended attributes of an open file, and which could not be read."""
        return read_xattrs(handle)

    def expect(self, size: int, label: str) -> None:
        """A file of `size` bytes is about to be restored; where it does not fit is said when it does not."""

    def sync(self) -> None:
        """Write everything of the file system to its disk; OSError when that failed."""
        sync(self.root)

    def describe(self, path: bytes, status: os.stat_result | None = None) -> Entry | None:
        """The entry at `path`, a file without chunks and content; None for a socket."""
        near = self.near(path)
        if near is not None:
            return self._described(near, path, status)
        with self.reach(path) as reached:
            return self._described(reached, path, status)

    def _described(self, reached: bytes, path: bytes, status: os.stat_result | None) -> Entry | None:
        entry = entry_of(path.rpartition(b"/")[2], status or os.lstat(reached))
        if entry is None:
            return None
        entry.xattrs, unread = read_xattrs(reached)
        if unread:
            self.tell_unread(path, unread)
        if entry.kind == SYMLINK:
            entry.target = os.readlink(reached)
        return entry

    def _is_not_carried(self, name: bytes) -> bool:
        return name in NOT_CARRIED and stat.S_ISDIR(self.status(name).st_mode)


def _tell_nobody(path: bytes, unread: Unread) -> None:
    """Who only looks whether an entry is the same does not say what it lacks."""


def entry_of(name: bytes, status: os.stat_result) -> Entry | None:
    """What a stat result says of an entry; None for a socket."""
    mode = status.st_mode
    kind = stat.S_IFMT(mode)
    entry = Entry(DIRECTORY, name, mode & _PERMISSIONS, status.st_uid, status.st_gid, status.st_mtime_ns)
    if kind == stat.S_IFREG:
        entry.kind = FILE
        entry.size, entry.inode, entry.ctime = status.st_size, status.st_ino, status.st_ctime_ns
    elif kind == stat.S_IFLNK:
        entry.kind = SYMLINK
    elif kind == stat.S_IFIFO:
        entry.kind = FIFO
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        entry.kind = DEVICE
        sort = "c" if kind == stat.S_IFCHR else "b"
        entry.device = (sort, os.major(status.st_rdev), os.minor(status.st_rdev))
    elif kind != stat.S_IFDIR:
        return None
    return entry


def read_xattrs(where: bytes | int) -> tuple[Mapping[str, bytes], Unread]:
    """All extended attributes that this process may read, and which it may not; `where` is a path (not followed) or
    an open file. Raises OSError where the storage fails or nothing is there any more."""
    follow = isinstance(where, int)
    try:
        names = os.listxattr(where, follow_symlinks=follow)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            # A file system without attributes.
            return _NO_XATTRS, _ALL_READ
        if error.errno in _UNREAD_ERRORS:
            return _NO_XATTRS, [("", error.errno)]
        raise
    if not names:
        return _NO_XATTRS, _ALL_READ
    found: dict[str, bytes] = {}
    unread: list[tuple[str, int]] = []
    for name in names:
        if name in _FOREIGN_XATTRS:
            continue
        try:
            found[name] = os.getxattr(where, name, follow_symlinks=follow)
        except OSError as error:
            if error.errno == errno.ENODATA and name not in os.listxattr(where, follow_symlinks=follow):
                # It was removed in between.
                continue
            if error.errno not in _UNREAD_ERRORS:
                raise
            unread.append((name, error.errno))
    return found, unread or _ALL_READ


def apply_metadata(
    where: bytes | int, entry: Entry, *, current: os.stat_result | None = None, new: bool = False
) -> None:
    """Set owner, mode, xattrs and times, each as far as this process may; read them back to know what was kept.

    `where` is a path (not followed) or an open file; with `new` one that this process just made, which is its own and
    has no attributes but what it inherited. In this order, because a change of owner takes setuid bits and
    capabilities away, user attributes need the permission to write, and an ACL refines the mode's group bits.
    """
    follow = isinstance(where, int)
    owner = _OWN if new else (current.st_uid, current.st_gid) if current is not None else None
    if owner != (entry.uid, entry.gid):
        _set_owner(where, entry, follow=follow)
    present = _NO_XATTRS if new else read_xattrs(where)[0]
    if present or entry.xattrs:
        _set_xattrs(where, entry, present, follow=follow, users=True)
    if entry.kind != SYMLINK:
        with _TOLERATED:
            os.chmod(where, entry.mode)
    if present or entry.xattrs:
        _set_xattrs(where, entry, present, follow=follow, users=False)
    with _TOLERATED:
        os.utime(where, ns=(entry.mtime, entry.mtime), follow_symlinks=follow)


_OWN = (os.geteuid(), os.getegid())


def _set_owner(where: bytes | int, entry: Entry, *, follow: bool) -> None:
    try:
        os.chown(where, entry.uid, entry.gid, follow_symlinks=follow)
    except OSError as error:
        if error.errno not in _UNKEPT_ERRORS:
            raise
        # An owner may still give its file to another group of its own.
        with _TOLERATED:
            os.chown(where, -1, entry.gid, follow_symlinks=follow)


def _set_xattrs(where: bytes | int, entry: Entry, present: Mapping[str, bytes], *, follow: bool, users: bool) -> None:
    for name in present:
        if name.startswith("user.") == users and name not in entry.xattrs:
            with _TOLERATED:
                os.removexattr(where, name, follow_symlinks=follow)
    for name, value in entry.xattrs.items():
        if name.startswith("user.") == users and (present.get(name) != value or name.startswith(_REFINES_MODE)):
            with _TOLERATED:
                os.setxattr(where, name, value, follow_symlinks=follow)


_UNKEPT_ERRORS = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL, errno.ENODATA, errno.ENOSYS, errno.E2BIG, errno.ERANGE}
)


class _Tolerated:
    """What may not be kept here does not end the restoration."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, OSError) and error.errno in _UNKEPT_ERRORS


_TOLERATED = _Tolerated()


def copy_data(source: int, target: int, size: int) -> None:
    """Copy a file's bytes into an empty one, its holes left out."""
    for begin, end in data_ranges(source, size):
        while begin < end and (data := os.pread(source, min(1 << 20, end - begin), begin)):
            begin += os.pwrite(target, data, begin)


def data_ranges(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """The allocated ranges of an open file of `size` bytes, as (begin, end)."""
    begin = 0
    while begin < size:
        try:
            begin = os.lseek(handle, begin, os.SEEK_DATA)
            end = os.lseek(handle, begin, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            if error.errno in (errno.EINVAL, errno.ENOTSUP):
                yield begin, size
                return
            raise
        if begin >= size:
            return
        yield begin, min(end, size)
        begin = end


def has_holes(handle: int, size: int) -> bool:
    """Whether a part of an open file of `size` bytes is not allocated.

    Its count of blocks does not tell: those of its attributes and what was set aside behind its end are among them.
    """
    try:
        return size > 0 and os.lseek(handle, 0, os.SEEK_HOLE) < size
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.EINVAL, errno.ENOTSUP):
            return False
        raise


_libc = ctypes.CDLL(None, use_errno=True)


def sync(path: bytes) -> None:
    """Write everything of the file system at `path` to its disk; OSError when that failed."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)


def punch_hole(handle: int, begin: int, length: int) -> bool:
    """Make a range read as zeros and free its blocks; False when the file system cannot."""
    keep_size_and_punch = 0x01 | 0x02
    done = _libc.fallocate(handle, keep_size_and_punch, ctypes.c_longlong(begin), ctypes.c_longlong(length))
    return bool(done == 0)
