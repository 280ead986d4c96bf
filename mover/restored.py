"""What earlier attempts and passes restored at the destination, by the journals that they followed."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mover.blocks import HOLE, ZEROS
from mover.crypto import VolumeKeys
from mover.entries import Entry, entry_equal
from mover.errors import IntegrityError
from mover.journal import Cursor, JournalReader
from mover.objectstore import ObjectStore
from mover.settings import Settings
from mover.tree import Volume


@dataclass(frozen=True, slots=True)
class RestoredFile:
    """A file at the destination, its size there, and whether nothing of it changed since."""

    size: int
    unchanged: bool


class Restored:
    """For one walk along a newer run's journal: paths must rise from call to call."""

    def __init__(
        self, settings: Settings, volume: Volume, store: ObjectStore, keys: VolumeKeys, applied: dict[str, int]
    ) -> None:
        """`applied` says how many segments of which runs are restored, oldest run first."""
        self._pass_number = settings.pass_number
        self._volume = volume
        # Newest first.
        self._cursors: list[Cursor] = []
        self._chunks: Iterator[Any] | None = None
        for run, segments in reversed(applied.items()):
            # An earlier journal that cannot be read any more only costs looking at the files themselves.
            with contextlib.suppress(IntegrityError):
                self._cursors.append(Cursor(JournalReader(store, keys, run, settings.volume), segments))

    def find(self, path: bytes, entry: Entry) -> RestoredFile | None:
        """The file at `path`, which the newer run tells of as `entry`, if it still is what an earlier run told."""
        self._chunks = None
        found = self._told(path) if self._cursors else None
        if found is None:
            return None
        cursor, known = found
        size = self._size_if_held(path, entry, cursor, known)
        if size is None:
            return None
        self._chunks = cursor.chunks()
        return RestoredFile(size, known.content == entry.content and entry_equal(known, entry))

    def has(self, item: list[Any]) -> bool:
        """Whether the next chunk item of the file that was found last is restored."""
        if self._chunks is None:
            return False
        known = next(self._chunks, None)
        if known is not None and item[0] not in (HOLE, ZEROS) and known[0] not in (HOLE, ZEROS):
            # The next ones stand at the same places, whether these are the same or not.
            return bool(known[0] == item[0] and known[9:] == item[9:])
        if known == item:
            return True
        self._chunks = None
        return False

    def _told(self, path: bytes) -> tuple[Cursor, Entry] | None:
        """What the newest earlier run that got this far told of `path`."""
        found = None
        parts = tuple(path.split(b"/"))
        for cursor in list(self._cursors):
            try:
                # Every cursor moves on, so that all stay beside this run.
                entry = cursor.find(parts, lambda _: True)
            except IntegrityError:
                self._cursors.remove(cursor)
                continue
            if entry is not None and found is None:
                found = cursor, entry
        return found

    def _size_if_held(self, path: bytes, entry: Entry, cursor: Cursor, known: Entry) -> int | None:
        """The file's size at the destination if it holds what an earlier run told of it; otherwise None.

        What this pass restored, it holds as long as the version is the same. What an earlier pass restored may have
        been changed since, and has to look untouched.
        """
        try:
            status = self._volume.status(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if int(cursor.reader.head["pass"]) >= self._pass_number:
            holds = _same_version(known, entry)
        else:
            holds = (status.st_size, status.st_mtime_ns) == (known.size, known.mtime)
        return status.st_size if holds and stat.S_ISREG(status.st_mode) else None


def _same_version(known: Entry, entry: Entry) -> bool:
    """Whether two runs told of a file that was not written in between."""
    return (known.kind, known.size, known.mtime, known.inode, known.ctime) == (
        entry.kind,
        entry.size,
        entry.mtime,
        entry.inode,
        entry.ctime,
    )
