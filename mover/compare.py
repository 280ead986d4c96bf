"""Walks a closed journal beside the tree on disk, finds what differs, and makes it right where asked.

The digest that comes out is that of the tree on disk, but for what this process was not able to keep there
(owners without the right to change them, for one): that is taken from the journal, and counted as unkept.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from mover import privileges
from mover.contents import Contents
from mover.crypto import VolumeKeys
from mover.destination import Destination
from mover.digest import TreeDigest
from mover.entries import DEVICE, DIRECTORY, FILE, HARD_LINK, Entry, join, readable
from mover.errors import IntegrityError
from mover.journal import JournalReader, whole_entries
from mover.links import LinkTable
from mover.metadata import could_not_be_kept, differing, same_thing
from mover.objectstore import ObjectStore
from mover.report import Reporter
from mover.settings import Settings
from mover.tree import Volume, apply_metadata
from mover.trouble import Trouble

_LOOK_AHEAD = 256
_MOST_DIFFERENCES = 20


class Comparison:
    """Of one volume with what the object store says of it."""

    def __init__(
        self, settings: Settings, volume: Volume, store: ObjectStore, keys: VolumeKeys, reporter: Reporter
    ) -> None:
        self._settings = settings
        self._volume = volume
        self._store = store
        self._keys = keys
        self._reporter = reporter

    def repair(self, run: str, *, before_root: Callable[[], None]) -> dict[str, Any]:
        """Complete a restored tree; the result's fields. What is too much goes, missing metadata and hard links come.

        File contents were checked as they were written. `before_root` is called when only the root's own metadata
        is left.
        """
        self._reporter.counters.phase = "verify"
        return _Pass(self, run, differences=None, before_root=before_root).run()

    def check(self, run: str, differences: list[str], *, repair_root: bool = False) -> dict[str, Any]:
        """Read the tree again, contents too, and fill `differences`; the result's fields count when there are none."""
        counters = self._reporter.counters
        counters.phase = "verify"
        counters.bytes_done = counters.files_done = 0
        return _Pass(self, run, differences=differences, repair_root=repair_root).run()


@dataclass(slots=True)
class _Folder:
    """A directory that the walk is in, and which of its names comes next."""

    path: bytes
    wanted: Entry
    names: Iterator[bytes]
    upcoming: bytes | None = None

    def advance(self) -> bytes | None:
        """The name that was next; the one after it is from now on."""
        name, self.upcoming = self.upcoming, next(self.names, None)
        return name


class _Pass:
    """One walk."""

    def __init__(
        self,
        comparison: Comparison,
        run: str,
        *,
        differences: list[str] | None,
        before_root: Callable[[], None] | None = None,
        repair_root: bool = False,
    ) -> None:
        self._volume = comparison._volume
        self._keys = comparison._keys
        self._reporter = comparison._reporter
        self._counters = self._reporter.counters
        self._label = comparison._settings.volume
        self._workers = comparison._settings.workers
        self._destination = Destination(self._volume, self._label)
        self._reader = JournalReader(comparison._store, self._keys, run, self._label)
        self._repairs = differences is None
        self._differences: list[str] = [] if differences is None else differences
        self._before_root = before_root
        self._repair_root = repair_root
        # What this pull or an earlier one restored may be opened up for a moment to look into it.
        own = self._repairs or repair_root
        self._contents = Contents(self._volume, self._keys, self._counters, self._label, own=own)
        self._unkept = Trouble()
        # Devices that this process may not make; further names of theirs cannot be made either.
        self._not_made: set[bytes] = set()
        self._digest = TreeDigest(self._keys)
        self._links = LinkTable()
        self._folders: list[_Folder] = []
        # How deep the walk is in a directory that is not there; it is told of once, not name by name.
        self._absent = 0
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="read")
        self._pending: deque[Callable[[], None]] = deque()

    def run(self) -> dict[str, Any]:
        try:
            records = (record for segment in self._reader.segments() for record in segment)
            for entry in whole_entries(records):
                if len(self._differences) >= _MOST_DIFFERENCES:
                    break
                if entry is None:
                    self._leave()
                else:
                    self._enter(entry)
            self._differs_in_nothing()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._links.close()
        return self._outcome()

    def _outcome(self) -> dict[str, Any]:
        close = self._reader.close
        if close is None and not self._differences:
            raise IntegrityError(
                f"The journal of volume {self._label} ends before its closing record. Push again.", code="journal-open"
            )
        digest = self._digest.finish()
        if close is not None and not self._differences and digest != close["digest"]:
            raise IntegrityError(
                f"The digest of volume {self._label} is {digest}, and the push says {close['digest']}. "
                "Do not use the volume.",
                code="digest-differs",
            )
        return {
            "digest": digest,
            "bytes": self._digest.bytes,
            "files": self._digest.files,
            "unkept": self._unkept.listed(),
            "changed": close["changed"] if close else [],
        }

    def _enter(self, wanted: Entry) -> None:
        if self._absent:
            self._absent += wanted.kind == DIRECTORY
            return
        depth = len(self._folders)
        self._enter_present(wanted)
        if wanted.kind == DIRECTORY and len(self._folders) == depth:
            self._absent = 1

    def _enter_present(self, wanted: Entry) -> None:
        path = self._advance_to(wanted.name) if self._folders else b""
        if wanted.kind == HARD_LINK:
            self._hard_link(path, wanted)
            return
        if wanted.kind == FILE:
            self._volume.expect(wanted.size, self._label)
        actual = self._actual(path)
        if actual is None or not same_thing(actual[0], wanted):
            if not self._make(path, wanted):
                return
            actual = self._actual(path)
        if actual is None:
            self._differ(path, "is missing")
            return
        entry, status = actual
        if status.st_nlink > 1 and wanted.kind != DIRECTORY:
            other = self._links.first(status.st_dev, status.st_ino, path)
            if other is not None:
                self._differ(path, f"is the same file as {readable(other)}")
                return
        if wanted.kind == DIRECTORY:
            self._enter_directory(path, wanted)
            return
        if wanted.kind == FILE and entry.size != wanted.size:
            self._differ(path, f"has {entry.size} bytes instead of {wanted.size}")
            return
        entry = self._settle(path, entry, wanted)
        self._count()
        if wanted.kind != FILE:
            self._then(lambda: self._digest.add(entry))
        elif self._repairs:
            entry.content = wanted.content
            self._digest.add(entry)
        else:
            self._check_content(path, entry, wanted)

    def _enter_directory(self, path: bytes, wanted: Entry) -> None:
        if self._repairs:
            self._destination.make_directory(path)
        # What a directory's own metadata ends up as is known when it is left, and is either this or an error.
        self._then(lambda: self._digest.add(wanted))
        folder = _Folder(path, wanted, self._volume.names(path))
        folder.advance()
        self._folders.append(folder)

    def _leave(self) -> None:
        if self._absent:
            self._absent -= 1
            return
        folder = self._folders.pop()
        while (name := folder.advance()) is not None:
            self._too_much(join(folder.path, name))
        if not self._folders:
            if self._before_root is not None:
                self._before_root()
            if self._repair_root and self._differs_in_nothing():
                with self._volume.reach(b"") as reached:
                    apply_metadata(reached, folder.wanted)
        actual = self._actual(folder.path)
        if actual is None:
            self._differ(folder.path, "is missing")
        else:
            actual[0].name = folder.wanted.name
            self._settle(folder.path, actual[0], folder.wanted)
        self._then(self._digest.leave)

    def _advance_to(self, name: bytes) -> bytes:
        folder = self._folders[-1]
        while folder.upcoming is not None and folder.upcoming < name:
            self._too_much(join(folder.path, folder.upcoming))
            folder.advance()
        if folder.upcoming == name:
            folder.advance()
        return folder.path + b"/" + name if folder.path else name

    def _too_much(self, path: bytes) -> None:
        if self._repairs:
            self._destination.remove(path)
        else:
            self._differ(path, "is not in the source")

    def _actual(self, path: bytes) -> tuple[Entry, os.stat_result] | None:
        try:
            status = self._volume.status(path)
            if status.st_mode & stat.S_IRUSR:
                entry = self._volume.describe(path, status)
            else:
                with self._contents.opened_up(path, status):
                    entry = self._volume.describe(path, status)
        except FileNotFoundError:
            return None
        return (entry, status) if entry is not None else None

    def _make(self, path: bytes, wanted: Entry) -> bool:
        """Make what is not there, but for files; False when the walk cannot go on with it."""
        if self._repairs and wanted.kind == DIRECTORY:
            self._destination.make_directory(path)
            return True
        if self._repairs and wanted.kind != FILE and self._destination.make_special(path, wanted):
            return True
        if wanted.kind == DEVICE and (self._repairs or not privileges.has(privileges.MKNOD)):
            self._not_made.add(path)
            self._could_not_keep("device", path)
            self._then(lambda: self._digest.add(wanted))
            return False
        self._differ(path, "is missing or something else")
        return False

    def _hard_link(self, path: bytes, wanted: Entry) -> None:
        def same() -> bool:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                one, other = self._volume.status(path), self._volume.status(wanted.target)
                return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
            return False

        if wanted.target in self._not_made:
            self._could_not_keep("device", path)
            self._then(lambda: self._digest.add(wanted))
            return
        if not same() and self._repairs:
            self._destination.make_hard_link(path, wanted.target)
        if not same():
            self._differ(path, f"is not the same file as {readable(wanted.target)}")
            return
        self._count()
        self._then(lambda: self._digest.add(wanted))

    def _settle(self, path: bytes, actual: Entry, wanted: Entry) -> Entry:
        """The entry for the digest: what is on disk, with what cannot be kept there taken from the journal."""
        found = differing(actual, wanted)
        if not found:
            return actual
        if self._repairs:
            with self._volume.reach(path) as reached:
                apply_metadata(reached, wanted)
            again = self._actual(path)
            if again is None:
                self._differ(path, "is missing")
                return wanted
            found = differing(again[0], wanted)
            unkept = found
        else:
            with self._volume.reach(path) as reached:
                unkept = [what for what in found if could_not_be_kept(what, actual, wanted, reached)]
        for what in unkept:
            self._could_not_keep(what, path)
        for what in found:
            if what not in unkept:
                self._differ(path, f"has another {what}")
        return replace(wanted)

    def _check_content(self, path: bytes, entry: Entry, wanted: Entry) -> None:
        reading = self._pool.submit(self._contents.digest, path, wanted.size)

        def compare() -> None:
            entry.content = reading.result()
            if entry.content != wanted.content:
                self._differ(path, "has other content")
            self._digest.add(entry)

        self._then(compare)

    def _count(self) -> None:
        # While a restored tree is completed, its files are already counted.
        if not self._repairs:
            self._counters.add(files_done=1)

    def _then(self, step: Callable[[], None]) -> None:
        """Run `step` in canonical order, after the contents that are still being read."""
        if self._repairs:
            step()
            return
        self._pending.append(step)
        if len(self._pending) > _LOOK_AHEAD:
            self._pending.popleft()()

    def _could_not_keep(self, what: str, path: bytes) -> None:
        self._unkept.add(what, path)
        self._reporter.unkept(what, readable(path))

    def _differs_in_nothing(self) -> bool:
        """Whether all that was looked at until now is as it should be, with the contents that are still being read."""
        while self._pending:
            self._pending.popleft()()
        return not self._differences

    def _differ(self, path: bytes, how: str) -> None:
        if self._repairs:
            raise IntegrityError(
                f"{readable(path)} on volume {self._label} {how}, after it was restored. Something else works on the "
                "destination volume: stop it, and start again.",
                code="destination-differs",
            )
        self._differences.append(f"{readable(path)} {how}")
