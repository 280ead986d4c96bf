"""One entry of a tree on disk beside what the journal tells of it: what is there, made right where that is asked."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import replace

from mover import privileges
from mover.contents import Contents
from mover.destination import Destination
from mover.entries import DEVICE, DIRECTORY, FILE, Entry
from mover.errors import MoverError
from mover.findings import Findings
from mover.metadata import could_not_be_kept, differing
from mover.tree import apply_metadata

# More than processes that were killed will have left; the rest is somebody's who closed them on purpose.
_MOST_LEFT_OPEN = 1000


class Matcher:
    """For one walk."""

    def __init__(
        self, destination: Destination, contents: Contents, findings: Findings, *, repairs: bool, own: bool
    ) -> None:
        """With `repairs`, what is not right is made right; `own` is a tree that an earlier process made right."""
        self._destination = destination
        self._volume = destination.volume
        self._contents = contents
        self._findings = findings
        self._repairs = repairs
        self._own = own
        self._left_open: list[tuple[bytes, Entry]] = []
        # Devices that this process may not make; further names of theirs cannot be made either.
        self.not_made: set[bytes] = set()

    def actual(self, path: bytes) -> tuple[Entry, os.stat_result] | None:
        """What is at `path`; None when there is nothing, or a socket."""
        try:
            status = self._volume.status(path)
            if status.st_mode & stat.S_IRUSR:
                entry = self._volume.describe(path, status)
            else:
                with self._contents.opened_up(path, status):
                    entry = self._volume.describe(path, status)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failure(path, error) from error
        return (entry, status) if entry is not None else None

    def names(self, path: bytes) -> Iterator[bytes]:
        """The names in a directory, in order."""
        try:
            return self._volume.names(path)
        except OSError as error:
            raise self._failure(path, error) from error

    def _failure(self, path: bytes, error: OSError) -> MoverError:
        return self._destination.failure(path, error) if self._repairs else self._contents.unreadable(path, error)

    def make(self, path: bytes, wanted: Entry) -> bool:
        """Make what is not there, but for files; False when the walk cannot go on with it."""
        if self._repairs and wanted.kind == DIRECTORY:
            self._destination.make_directory(path)
            return True
        if self._repairs and wanted.kind != FILE and self._destination.make_special(path, wanted):
            return True
        if wanted.kind == DEVICE and (self._repairs or not privileges.has(privileges.MKNOD)):
            self.not_made.add(path)
            self._findings.could_not_keep("device", path)
            return False
        self._findings.differ(path, "is missing or something else")
        return False

    def is_linked(self, path: bytes, target: bytes) -> bool:
        """Whether both are names of one inode, if need be from now on."""
        if self._is_same(path, target):
            return True
        if not self._repairs:
            return False
        self._destination.make_hard_link(path, target)
        return self._is_same(path, target)

    def _is_same(self, path: bytes, target: bytes) -> bool:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            one, other = self._volume.status(path), self._volume.status(target)
            return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
        return False

    def settle(self, path: bytes, actual: Entry, wanted: Entry) -> Entry:
        """The entry for the digest: what is on disk, with what cannot be kept there taken from the journal."""
        found = differing(actual, wanted)
        if not found:
            return actual
        if self._repairs:
            with self._volume.reach(path) as reached:
                apply_metadata(reached, wanted)
            again = self.actual(path)
            if again is None:
                self._findings.differ(path, "is missing")
                return wanted
            found = differing(again[0], wanted)
            unkept = found
        elif self._may_be_left_open(found, actual, wanted):
            self._left_open.append((path, wanted))
            return replace(wanted)
        else:
            with self._volume.reach(path) as reached:
                unkept = [what for what in found if could_not_be_kept(what, actual, wanted, reached)]
        for what in unkept:
            self._findings.could_not_keep(what, path)
        for what in found:
            if what not in unkept:
                self._findings.differ(path, f"has another {what}")
        return replace(wanted)

    def _may_be_left_open(self, found: list[str], actual: Entry, wanted: Entry) -> bool:
        # The mode of an entry with an ACL is a part of that.
        if not self._own or not set(found) <= {"mode", "xattr:system"} or len(self._left_open) == _MOST_LEFT_OPEN:
            return False
        return self._contents.may_have_opened(actual, wanted)

    def repair_own(self, root: Entry) -> None:
        """Set right in a tree of ours what a process that was killed did not come to: the root's metadata, and the
        modes of what it had opened up to look into it."""
        for path, wanted in [*self._left_open, (b"", root)]:
            with self._volume.reach(path) as reached:
                apply_metadata(reached, wanted)
