"""The digest of a whole tree: one keyed BLAKE3 over every entry in canonical order."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from blake3 import blake3

from mover.crypto import VolumeKeys
from mover.entries import DEVICE, DIRECTORY, FILE, HARD_LINK, SYMLINK, Entry

_META = struct.Struct("<III")
# Nanoseconds since 1970 outgrow 64 bits in the year 2262, and file systems know later times.
_TIME_BYTES = 12


class TreeDigest:
    """Feed it a tree's entries: a directory, what is in it by rising names, then `leave`."""

    def __init__(self, keys: VolumeKeys) -> None:
        self._hash = blake3(key=keys.tree_key)
        self._pending: list[bytes] = []
        self._files = 0
        self._bytes = 0

    @property
    def files(self) -> int:
        """How many entries that are not directories were added."""
        return self._files

    @property
    def bytes(self) -> int:
        """The files' sizes, each inode once."""
        return self._bytes

    def add(self, entry: Entry) -> None:
        """The next entry; a file needs its content digest."""
        if entry.kind == FILE:
            self._bytes += entry.size
        if entry.kind != DIRECTORY:
            self._files += 1
        self._pending += encoded(entry)
        if len(self._pending) > 4096:
            self._flush()

    def leave(self) -> None:
        """The innermost open directory ends."""
        self._pending.append(b"u")

    def finish(self) -> str:
        """The digest in hexadecimal."""
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        update: Callable[[bytes], object] = self._hash.update
        update(b"".join(self._pending))
        self._pending.clear()


def encoded(entry: Entry) -> list[bytes]:
    """All of an entry that is compared; a file needs its content digest."""
    parts: list[bytes] = [entry.kind.encode(), _sized(entry.name)]
    if entry.kind == HARD_LINK:
        return [*parts, _sized(entry.target)]
    parts.append(_META.pack(entry.mode, entry.uid, entry.gid))
    parts.append(entry.mtime.to_bytes(_TIME_BYTES, "little", signed=True))
    parts.append(len(entry.xattrs).to_bytes(4, "little"))
    for name, value in sorted((os.fsencode(name), value) for name, value in entry.xattrs.items()):
        parts += (_sized(name), _sized(value))
    if entry.kind == FILE:
        if entry.content is None:
            raise ValueError("a file enters the digest with its content")
        parts += (entry.size.to_bytes(8, "little"), entry.content)
    elif entry.kind == SYMLINK:
        parts.append(_sized(entry.target))
    elif entry.kind == DEVICE:
        sort, major, minor = entry.device
        parts.append(struct.pack("<cII", sort.encode(), major, minor))
    return parts


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data
