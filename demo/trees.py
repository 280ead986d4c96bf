"""A comparison of two folders, entry by entry, written apart from the mover so that it can judge it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from pathlib import Path
from typing import Any

MOST_DIFFERENCES = 50


def _entries(root: bytes) -> dict[bytes, os.stat_result]:
    found = {b".": os.lstat(root)}
    for folder, names, files in os.walk(root):
        for name in [*names, *files]:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = os.lstat(path)
    found.pop(b"lost+found", None)
    return found


def _content(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _xattrs(path: bytes) -> dict[Any, bytes]:
    try:
        return {
            name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
        }
    except OSError:
        return {}


def _linked(entries: dict[bytes, os.stat_result]) -> set[frozenset[bytes]]:
    """The groups of names that are one file."""
    groups = defaultdict(set)
    for name, status in entries.items():
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            groups[status.st_dev, status.st_ino].add(name)
    return {frozenset(group) for group in groups.values()}


def differences(left: Path, right: Path) -> list[str]:
    """What differs, as sentences: names, types, modes, owners, times, targets, attributes, links, holes, content."""
    roots = os.fsencode(left), os.fsencode(right)
    ours, theirs = _entries(roots[0]), _entries(roots[1])
    wrong = [f"{os.fsdecode(name)} is missing" for name in sorted(ours.keys() - theirs.keys())]
    wrong += [f"{os.fsdecode(name)} is there but should not be" for name in sorted(theirs.keys() - ours.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        a, b = ours[name], theirs[name]
        paths = os.path.join(roots[0], name), os.path.join(roots[1], name)
        facts: list[tuple[str, Any, Any]] = [
            ("mode", oct(a.st_mode), oct(b.st_mode)),
            ("owner", (a.st_uid, a.st_gid), (b.st_uid, b.st_gid)),
            ("time", a.st_mtime_ns, b.st_mtime_ns),
            ("attributes", _xattrs(paths[0]), _xattrs(paths[1])),
        ]
        if stat.S_ISLNK(a.st_mode) and stat.S_ISLNK(b.st_mode):
            facts.append(("target", os.readlink(paths[0]), os.readlink(paths[1])))
        elif stat.S_ISREG(a.st_mode) and stat.S_ISREG(b.st_mode):
            facts.append(("size", a.st_size, b.st_size))
            facts.append(("content", _content(paths[0]), _content(paths[1])))
            if a.st_size > a.st_blocks * 512 * 2 and b.st_blocks > a.st_blocks * 2:
                facts.append(("holes", a.st_blocks, b.st_blocks))
        wrong += [f"{os.fsdecode(name)}: {what} is {there}, not {here}" for what, here, there in facts if here != there]
        if len(wrong) > MOST_DIFFERENCES:
            return [*wrong[:MOST_DIFFERENCES], "… and more"]
    if _linked(ours) != _linked(theirs):
        wrong.append("hard links are not the same")
    return wrong
