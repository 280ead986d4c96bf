"""The walk through the source in canonical order, and the count that runs beside it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator

from mover.entries import HARD_LINK, Entry, join, readable
from mover.errors import SourceUnreadable
from mover.links import LinkTable
from mover.report import Counters
from mover.tree import NOT_CARRIED, Volume

# Path, its parts, status, and the entry of what is no file; None where a directory ends.
Step = tuple[bytes, tuple[bytes, ...], os.stat_result, Entry | None] | None


def walk(volume: Volume, links: LinkTable, skip: Callable[[str, bytes], None], label: str) -> Iterator[Step]:
    """The tree of the volume called `label` in canonical order: (path, its parts, status, entry), None where a
    directory ends.

    Directories, links and the like come described; of files there is the status alone, their reader does the rest.
    """

    def listed(folder: bytes) -> Iterator[bytes]:
        try:
            return volume.names(folder)
        except (FileNotFoundError, NotADirectoryError):
            skip("vanished", folder)
            return iter(())
        except OSError as error:
            raise _unreadable(folder, label, error) from error

    status = volume.status(b"")
    root = volume.describe(b"", status)
    assert root is not None
    root.name = b""
    yield b"", (), status, root
    stack: list[tuple[bytes, tuple[bytes, ...], Iterator[bytes]]] = [(b"", (), listed(b""))]
    while stack:
        folder, parts, names = stack[-1]
        name = next(names, None)
        if name is None:
            stack.pop()
            yield None
            continue
        path = folder + b"/" + name if folder else name
        entry: Entry | None = None
        try:
            status = volume.status(path)
            kind = stat.S_IFMT(status.st_mode)
            if status.st_nlink > 1 and kind not in (stat.S_IFDIR, stat.S_IFSOCK):
                first = links.first(status.st_dev, status.st_ino, path)
                if first is not None:
                    entry = Entry(HARD_LINK, name, target=first)
            if entry is None and kind != stat.S_IFREG:
                entry = volume.describe(path, status)
                if entry is None:
                    skip("socket", path)
                    continue
        except FileNotFoundError:
            skip("vanished", path)
            continue
        except OSError as error:
            raise _unreadable(path, label, error) from error
        below = (*parts, name)
        yield path, below, status, entry
        if kind == stat.S_IFDIR:
            stack.append((path, below, listed(path)))


def _unreadable(path: bytes, label: str, error: OSError) -> SourceUnreadable:
    advice = (
        "Run the mover as its owner or with the capability DAC_READ_SEARCH."
        if error.errno in (errno.EACCES, errno.EPERM)
        else "Check the source volume and its storage."
    )
    return SourceUnreadable(
        f"{readable(path)} on volume {label} cannot be read: {os.strerror(error.errno or 0)}. {advice}"
    )


def count(volume: Volume, counters: Counters, stop: threading.Event) -> None:
    """Count the tree beside the push, for whoever wants to know how much is left."""
    files = 0
    size = 0.0
    folders = [b""]
    while folders:
        folder = folders.pop()
        with contextlib.suppress(OSError), volume.reach(folder) as reached, os.scandir(reached) as found:
            for each in found:
                if stop.is_set():
                    return
                if each.is_dir(follow_symlinks=False):
                    if folder or each.name not in NOT_CARRIED:
                        folders.append(join(folder, each.name))
                    continue
                status = each.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    # Every name of a hard link bears its share.
                    size += status.st_size / max(1, status.st_nlink)
                files += not stat.S_ISSOCK(status.st_mode)
    counters.files_total, counters.bytes_total = files, round(size)
