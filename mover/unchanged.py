"""Whether a source is still what the last run told of it, so that nothing has to be read."""

from __future__ import annotations

import functools
import os
import stat
from typing import Any

from mover.crypto import VolumeKeys
from mover.entries import DIRECTORY, FILE, UNREAD, UNSTABLE, Entry, entry_equal
from mover.errors import IntegrityError
from mover.journal import Cursor, JournalReader, list_runs, read_manifest
from mover.links import LinkTable
from mover.objectstore import ObjectStore
from mover.settings import Settings
from mover.tree import Volume
from mover.walking import walk


def is_file(entry: Entry) -> bool:
    """Whether a journal's entry is a file."""
    return entry.kind == FILE


def same_file(status: os.stat_result, entry: Entry) -> bool:
    """Whether a journal's file is the one that `status` describes, unwritten since."""
    return (
        entry.kind == FILE
        and not entry.flags & (UNSTABLE | UNREAD)
        and (entry.size, entry.mtime, entry.ctime, entry.inode)
        == (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        and (entry.mode, entry.uid, entry.gid) == (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    )


def closed_and_unchanged(
    settings: Settings, volume: Volume, store: ObjectStore, keys: VolumeKeys
) -> dict[str, Any] | None:
    """The newest run and what its closing record says, when it is closed and the tree is still what it tells."""
    runs = list_runs(store)
    try:
        if not runs or read_manifest(store, keys, runs[-1], settings.volume) is None:
            return None
    except IntegrityError:
        return None
    reader = JournalReader(store, keys, runs[-1], settings.volume)
    links = LinkTable()
    try:
        cursor = Cursor(reader)
        if int(reader.head["pass"]) < settings.pass_number:
            return None
        changed = False

        def skip(what: str, _: bytes) -> None:
            nonlocal changed
            changed = changed or what == "vanished"

        count = 0
        for step in walk(volume, links, skip, settings.volume):
            if step is None:
                continue
            _, parts, status, entry = step
            accept = functools.partial(same_file, status) if entry is None else functools.partial(entry_equal, entry)
            if changed or cursor.find(parts, accept) is None:
                return None
            count += entry is None or entry.kind != DIRECTORY
        for _ in reader.segments():
            pass
    except IntegrityError:
        return None
    finally:
        links.close()
    if reader.close is None or reader.close["files"] != count:
        return None
    return {**reader.close, "run": runs[-1]}
