"""Digest: read a tree anew, contents and all, and say what it comes to. No object store is asked, nothing is changed.

Two trees that were read with the same key are the same where their digests are. To find what differs where they are
not, each entry belongs to one of 4,096 buckets, by its path, and each bucket has a digest of its own. A second look, at
the buckets that differ, reads their files alone and lists their entries: so two trees with millions of files are
compared by what a log can hold, and in bounded memory.
"""

from __future__ import annotations

import base64
import errno
import functools
import os
import stat
import threading
import time
from collections.abc import Collection
from typing import Any

from blake3 import blake3

from mover import direct
from mover.blocks import BLOCK_BYTES
from mover.contents import read_content
from mover.crypto import VolumeKeys
from mover.device import NAME, volume_at
from mover.digest import TreeDigest, encoded
from mover.entries import DEVICE, DIRECTORY, FILE, HARD_LINK, SYMLINK, Entry, readable, weight
from mover.errors import DestinationRefused, SourceUnreadable
from mover.inorder import InOrder
from mover.links import LinkTable
from mover.pull import require_directory
from mover.ranges import MOST_OF_A_DEVICE, MOST_OF_A_FILE, Parts
from mover.report import Reporter
from mover.settings import DigestSettings
from mover.steady import unchanged
from mover.tree import Unread, Volume, entry_of
from mover.trouble import Trouble
from mover.walking import count, walk

BUCKETS = 4096
# So many to a line: container runtimes cut lines beyond 16 KiB.
_PER_LINE = 1024
_WIDTH = 8
_GONE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.ESTALE})


def digest(settings: DigestSettings, path: str, reporter: Reporter, only: Collection[int] = ()) -> dict[str, Any]:
    """The fields of the result line; the buckets' digests, or the entries of those buckets `only`, are said before."""
    volume = volume_at(path, block=settings.block)
    try:
        require_directory(volume, f"volume {settings.volume}")
    except DestinationRefused as error:
        raise SourceUnreadable(error.message) from None
    if settings.block and settings.device_bytes:
        volume.expect(min(settings.device_bytes, volume.status(NAME).st_size), settings.volume)
    return _Inspection(settings, volume, reporter, frozenset(only)).run()


class _Inspection:
    """One walk through one tree."""

    def __init__(self, settings: DigestSettings, volume: Volume, reporter: Reporter, only: frozenset[int]) -> None:
        self._volume = volume
        self._label = settings.volume
        self._reporter = reporter
        self._counters = reporter.counters
        self._only = only
        self._leave_out = settings.leave_out
        self._spaces = {each.removeprefix("xattr:") for each in settings.leave_out if each.startswith("xattr:")}
        self._keys = VolumeKeys(settings.key, "digest")
        self._digest = TreeDigest(self._keys)
        self._buckets = [0] * BUCKETS
        self._newest = self._listed = 0
        self._trouble = Trouble()
        volume.tell_unread = self._leave_attributes
        self._links = LinkTable()
        self._in_order = InOrder(settings.workers)

    def run(self) -> dict[str, Any]:
        began = time.monotonic()
        self._counters.phase = "digest"
        stop_counting = threading.Event()
        counting = threading.Thread(target=count, args=(self._volume, self._counters, stop_counting), daemon=True)
        counting.start()
        try:
            self._walk()
            self._in_order.drain()
        finally:
            stop_counting.set()
            self._in_order.close()
            self._links.close()
        if not self._only:
            self._say_buckets()
        return {
            "digest": "" if self._only else self._digest.finish(),
            "bytes": self._digest.bytes,
            "files": self._digest.files,
            "newest": self._newest,
            "listed": self._listed,
            "changed": self._trouble.listed(),
            "seconds": round(time.monotonic() - began, 3),
        }

    def _walk(self) -> None:
        for step in walk(self._volume, self._links, self._skip, self._label):
            if step is None:
                self._in_order.then(self._digest.leave)
                continue
            path, parts, status, entry = step
            if self._only and self._bucket_of(path) not in self._only:
                continue
            if entry is None:
                reading = functools.partial(self._file, path, parts[-1], status)
                self._in_order.read(reading, functools.partial(self._take, path), status.st_size)
            elif entry.kind != DEVICE or "device" not in self._leave_out:
                self._in_order.then(functools.partial(self._add, path, entry), weight(entry))

    def _skip(self, what: str, path: bytes) -> None:
        # Sockets are never carried, so they make no difference.
        if what != "socket":
            self._trouble.add(what, path)

    def _leave_attributes(self, path: bytes, unread: Unread) -> None:
        if any(name.partition(".")[0] not in self._spaces for name, _ in unread):
            self._trouble.add("xattr-unread", path)

    def _take(self, path: bytes, read: tuple[Entry, Parts | None] | None) -> None:
        if read is None:
            self._trouble.add("vanished", path)
            return
        entry, parts = read
        self._add(path, entry)
        for line in parts.lines(_own_id(path, self._keys).hex()) if parts else ():
            self._reporter.line("parts", line)

    def _add(self, path: bytes, entry: Entry) -> None:
        self._newest = max(self._newest, entry.mtime)
        entry = self._compared(entry)
        self._counters.add(files_done=entry.kind != DIRECTORY)
        self._digest.add(entry)
        if self._only:
            self._reporter.line("entry", told(path, entry, self._keys))
            self._listed += 1
        else:
            own = blake3(b"".join((path, b"\0", *encoded(entry))), key=self._keys.tree_key).digest(_WIDTH)
            self._buckets[self._bucket_of(path)] ^= int.from_bytes(own, "little")

    def _compared(self, entry: Entry) -> Entry:
        """The entry without what is not compared."""
        if entry.kind == SYMLINK:
            # Every symbolic link has the same, and what a file system says of it is no matter.
            entry.mode = 0o777
        if "owner" in self._leave_out:
            entry.uid = entry.gid = 0
        if "mode" in self._leave_out:
            entry.mode = 0
        if "mtime" in self._leave_out:
            entry.mtime = 0
        if self._spaces:
            kept = {name: value for name, value in entry.xattrs.items() if name.split(".")[0] not in self._spaces}
            entry.xattrs = kept
        return entry

    def _file(self, path: bytes, name: bytes, seen: os.stat_result) -> tuple[Entry, Parts | None] | None:
        """The file with its content, and its parts where it is listed; None where it is gone, or no file any more."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with self._volume.reach(path) as reached:
                handle = direct.opened(reached, flags) if seen.st_size > BLOCK_BYTES else os.open(reached, flags)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise self._unreadable(path, error) from error
        try:
            before = self._volume.status_of(handle)
            if not stat.S_ISREG(before.st_mode):
                return None
            entry = entry_of(name, before)
            assert entry is not None
            entry.xattrs, unread = self._volume.xattrs_of(handle)
            if unread:
                self._leave_attributes(path, unread)
            most = MOST_OF_A_DEVICE if self._volume.is_device else MOST_OF_A_FILE
            parts = Parts(self._keys, before.st_size, most) if self._only else None
            entry.content = read_content(handle, before, before.st_size, self._keys, self._counters, parts)
            if not unchanged(before, self._volume.status_of(handle)):
                self._trouble.add("changed-while-read", path)
        except OSError as error:
            raise self._unreadable(path, error) from error
        finally:
            os.close(handle)
        return entry, parts

    def _unreadable(self, path: bytes, error: OSError) -> SourceUnreadable:
        if error.errno in (errno.EACCES, errno.EPERM):
            advice = "Run the mover as the files' owner or with the capability DAC_READ_SEARCH."
        else:
            advice = "Check the volume and its storage."
        why = os.strerror(error.errno or 0)
        return SourceUnreadable(f"{readable(path)} on volume {self._label} cannot be read: {why}. {advice}")

    def _bucket_of(self, path: bytes) -> int:
        return int.from_bytes(_own_id(path, self._keys)[:4], "little") % BUCKETS

    def _say_buckets(self) -> None:
        for first in range(0, BUCKETS, _PER_LINE):
            sums = b"".join(each.to_bytes(_WIDTH, "little") for each in self._buckets[first : first + _PER_LINE])
            self._reporter.line("buckets", {"first": first, "sums": base64.b64encode(sums).decode()})


def told(path: bytes, entry: Entry, keys: VolumeKeys) -> dict[str, Any]:
    """An entry for its line; contents and values of attributes by keyed digests alone."""
    line: dict[str, Any] = {"id": _own_id(path, keys).hex(), "path": readable(path), "kind": entry.kind}
    if entry.kind == HARD_LINK:
        return {**line, "target": readable(entry.target)}
    line |= {"mode": entry.mode, "uid": entry.uid, "gid": entry.gid, "mtime": entry.mtime}
    if entry.xattrs:
        sums = {name: blake3(value, key=keys.tree_key).hexdigest(_WIDTH) for name, value in entry.xattrs.items()}
        line["xattrs"] = {os.fsencode(name).decode("utf-8", "backslashreplace"): each for name, each in sums.items()}
    if entry.kind == FILE:
        line |= {"size": entry.size, "content": (entry.content or b"")[: 2 * _WIDTH].hex()}
    elif entry.kind == SYMLINK:
        line["target"] = readable(entry.target)
    elif entry.kind == DEVICE:
        line["device"] = list(entry.device)
    return line


def _own_id(path: bytes, keys: VolumeKeys) -> bytes:
    return blake3(path, key=keys.content_key).digest(_WIDTH)
