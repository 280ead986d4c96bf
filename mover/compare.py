"""Walks a closed journal beside the tree on disk, finds what differs, and makes it right where asked.

The digest that comes out is that of the tree on disk, but for what this process was not able to keep there
(owners without the right to change them, for one): that is taken from the journal, and counted as unkept.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mover.contents import Contents
from mover.crypto import VolumeKeys
from mover.destination import Destination
from mover.digest import TreeDigest
from mover.entries import DIRECTORY, FILE, HARD_LINK, Entry, join, readable, weight
from mover.errors import IntegrityError
from mover.findings import Findings
from mover.inorder import InOrder
from mover.journal import JournalReader, whole_entries
from mover.links import LinkTable
from mover.matching import Matcher
from mover.metadata import same_thing
from mover.objectstore import ObjectStore
from mover.report import Reporter
from mover.settings import Settings
from mover.tree import Volume


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
    # Where it was opened up to look inside, the mode that it had.
    mode: int | None
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
        self._destination = Destination(self._volume, self._label)
        self._reader = JournalReader(comparison._store, self._keys, run, self._label)
        self._repairs = differences is None
        self._findings = Findings(self._reporter, self._label, differences)
        self._before_root = before_root
        self._repair_root = repair_root
        # What this pull or an earlier one restored may be opened up for a moment to look into it.
        own = self._repairs or repair_root
        self._contents = Contents(self._volume, self._keys, self._counters, self._label, own=own)
        self._matcher = Matcher(
            self._destination, self._contents, self._findings, repairs=self._repairs, own=repair_root
        )
        self._digest = TreeDigest(self._keys)
        self._links = LinkTable()
        self._folders: list[_Folder] = []
        # How deep the walk is in a directory that is not there; it is told of once, not name by name.
        self._absent = 0
        self._in_order = InOrder(comparison._settings.workers)

    def run(self) -> dict[str, Any]:
        try:
            records = (record for segment in self._reader.segments() for record in segment)
            for entry in whole_entries(records):
                if self._findings.are_enough:
                    break
                if entry is None:
                    self._leave()
                else:
                    self._enter(entry)
            self._in_order.drain()
        finally:
            self._in_order.close()
            self._links.close()
            for folder in reversed(self._folders):
                self._close(folder)
        return self._outcome()

    def _outcome(self) -> dict[str, Any]:
        close = self._reader.close
        if close is None and not self._findings:
            raise IntegrityError(
                f"The journal of volume {self._label} ends before its closing record. Push again.", code="journal-open"
            )
        digest = self._digest.finish()
        if close is not None and not self._findings and digest != close["digest"]:
            raise IntegrityError(
                f"The digest of volume {self._label} is {digest}, and the push says {close['digest']}. "
                "Do not use the volume.",
                code="digest-differs",
            )
        return {
            "run": self._reader.run,
            "digest": digest,
            "bytes": self._digest.bytes,
            "files": self._digest.files,
            "unkept": self._findings.unkept(),
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
        actual = self._matcher.actual(path)
        if actual is None or not same_thing(actual[0], wanted):
            if not self._matcher.make(path, wanted):
                if path in self._matcher.not_made:
                    self._then(lambda: self._digest.add(wanted))
                return
            actual = self._matcher.actual(path)
        if actual is None:
            self._findings.differ(path, "is missing")
            return
        entry, status = actual
        if status.st_nlink > 1 and wanted.kind != DIRECTORY:
            other = self._links.first(status.st_dev, status.st_ino, path)
            if other is not None:
                self._findings.differ(path, f"is the same file as {readable(other)}")
                return
        if wanted.kind == DIRECTORY:
            self._enter_directory(path, wanted, status)
            return
        if wanted.kind == FILE and entry.size != wanted.size:
            self._findings.differ(path, f"has {entry.size} bytes instead of {wanted.size}")
            return
        entry = self._matcher.settle(path, entry, wanted)
        self._count()
        if wanted.kind != FILE:
            self._then(lambda: self._digest.add(entry), weight(entry))
        elif self._repairs:
            entry.content = wanted.content
            self._digest.add(entry)
        else:
            reading = functools.partial(self._contents.digest, path, wanted.size)
            take = functools.partial(self._take_content, path, entry, wanted)
            self._in_order.read(reading, take, wanted.size + weight(entry))

    def _enter_directory(self, path: bytes, wanted: Entry, status: os.stat_result) -> None:
        mode = None
        if self._repairs:
            self._destination.make_directory(path)
        else:
            mode = self._contents.open_folder(path, status)
        # What a directory's own metadata ends up as is known when it is left, and is either this or an error.
        self._then(lambda: self._digest.add(wanted))
        folder = _Folder(path, wanted, self._matcher.names(path), mode)
        folder.advance()
        self._folders.append(folder)

    def _leave(self) -> None:
        if self._absent:
            self._absent -= 1
            return
        folder = self._folders.pop()
        while (name := folder.advance()) is not None:
            self._too_much(join(folder.path, name))
        if folder.mode is not None:
            self._in_order.drain()
            self._close(folder)
        if not self._folders:
            if self._before_root is not None:
                self._before_root()
            if self._repair_root:
                self._in_order.drain()
                if not self._findings:
                    self._matcher.repair_own(folder.wanted)
        actual = self._matcher.actual(folder.path)
        if actual is None:
            self._findings.differ(folder.path, "is missing")
        else:
            actual[0].name = folder.wanted.name
            self._matcher.settle(folder.path, actual[0], folder.wanted)
        self._then(self._digest.leave)

    def _close(self, folder: _Folder) -> None:
        """Give a directory the mode back that it had before this walk looked inside."""
        if folder.mode is not None:
            self._contents.set_mode(folder.path, folder.mode)

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
            self._findings.differ(path, "is not in the source")

    def _hard_link(self, path: bytes, wanted: Entry) -> None:
        if wanted.target in self._matcher.not_made:
            self._findings.could_not_keep("device", path)
        elif self._matcher.is_linked(path, wanted.target):
            self._count()
        else:
            self._findings.differ(path, f"is not the same file as {readable(wanted.target)}")
            return
        self._then(lambda: self._digest.add(wanted))

    def _take_content(self, path: bytes, entry: Entry, wanted: Entry, content: bytes) -> None:
        entry.content = content
        if content != wanted.content:
            self._findings.differ(path, "has other content")
        self._digest.add(entry)

    def _count(self) -> None:
        # While a restored tree is completed, its files are already counted.
        if not self._repairs:
            self._counters.add(files_done=1)

    def _then(self, step: Callable[[], None], weighs: int = 0) -> None:
        """Run `step` in canonical order, after the contents that are still being read."""
        if self._repairs:
            step()
        else:
            self._in_order.then(step, weighs)
