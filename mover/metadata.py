"""How the metadata of an entry on disk compares with what the journal tells of it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from mover import privileges
from mover.entries import DEVICE, SYMLINK, Entry


def same_thing(actual: Entry, wanted: Entry) -> bool:
    """Whether an entry is of the same kind and, where it has no content, means the same."""
    if actual.kind != wanted.kind:
        return False
    if actual.kind == SYMLINK:
        return actual.target == wanted.target
    return actual.kind != DEVICE or actual.device == wanted.device


def differing(actual: Entry, wanted: Entry) -> list[str]:
    """Which kinds of metadata differ."""
    found = list(_differing_xattrs(actual, wanted)) if actual.xattrs != wanted.xattrs else []
    if actual.uid != wanted.uid or actual.gid != wanted.gid:
        found.append("owner")
    if actual.mode != wanted.mode and wanted.kind != SYMLINK:
        found.append("mode")
    if actual.mtime != wanted.mtime:
        found.append("mtime")
    return found


def _differing_xattrs(actual: Entry, wanted: Entry) -> Iterator[str]:
    names = actual.xattrs.keys() | wanted.xattrs.keys()
    spaces = {name.split(".")[0] for name in names if actual.xattrs.get(name) != wanted.xattrs.get(name)}
    return (f"xattr:{space}" for space in sorted(spaces))


def could_not_be_kept(what: str, actual: Entry, wanted: Entry, reached: bytes) -> bool:
    """Whether a restoration by this process would have left this difference behind at `reached`."""
    # Others' files have to be somebody's who may act for their owners.
    others = actual.uid != os.geteuid() and not privileges.has(privileges.FOWNER)
    if what == "owner":
        return not privileges.has(privileges.CHOWN)
    if what == "mtime":
        return others or _rounded(actual.mtime, wanted.mtime)
    if what == "mode":
        permissions = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO
        special_bits = actual.mode & permissions == wanted.mode & permissions
        return others or (special_bits and not privileges.has(privileges.FSETID))
    if what in ("xattr:user", "xattr:system"):
        return others or not _takes_xattrs(reached, "user." if what == "xattr:user" else "system.posix_acl_")
    return not privileges.has(privileges.SYS_ADMIN)


def _rounded(actual: int, wanted: int) -> bool:
    """Whether a file system that keeps times less precisely makes the one of the other (both in nanoseconds)."""
    return any(actual == wanted - wanted % unit for unit in (100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000))


def _takes_xattrs(reached: bytes, space: str) -> bool:
    """Whether the file system has extended attributes of this kind."""
    try:
        os.getxattr(reached, space + ("access" if space.startswith("system.") else "any"), follow_symlinks=False)
    except OSError as error:
        return error.errno != errno.ENOTSUP
    return True
