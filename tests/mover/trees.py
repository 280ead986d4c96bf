"""Trees for the mover's tests: making them, and telling everything about them without the mover's own code."""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def everything(root: Path) -> dict[bytes, Any]:
    """All that must survive, by path, however long; names that share an inode tell of each other. No sockets."""
    found: dict[bytes, Any] = {}
    inodes: dict[tuple[int, int], list[bytes]] = {}

    def visit(folder: int, name: bytes, relative: bytes) -> None:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFSOCK:
            return
        # Attributes are not read beside an open folder, and a whole path may be too long.
        near = b"/proc/self/fd/%d/%s" % (folder, name)
        details: dict[str, Any] = {
            "kind": kind,
            "mode": stat.S_IMODE(status.st_mode),
            "owner": (status.st_uid, status.st_gid),
            "mtime": status.st_mtime_ns,
            "xattrs": {
                each: os.getxattr(near, each, follow_symlinks=False)
                for each in os.listxattr(near, follow_symlinks=False)
                if each != "security.selinux"
            },
        }
        found[relative] = details
        if kind != stat.S_IFDIR and status.st_nlink > 1:
            inodes.setdefault((status.st_dev, status.st_ino), []).append(relative)
        if kind == stat.S_IFREG:
            with open(near, "rb") as file:
                details["content"] = hashlib.file_digest(file, "sha256").hexdigest()
            details["size"] = status.st_size
        elif kind == stat.S_IFLNK:
            details["target"] = os.readlink(name, dir_fd=folder)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            details["device"] = status.st_rdev
        elif kind == stat.S_IFDIR:
            here = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            try:
                for each in map(os.fsencode, os.listdir(here)):
                    if relative or each not in (b"lost+found", b".kubemotion-mover"):
                        visit(here, each, relative + b"/" + each if relative else each)
            finally:
                os.close(here)

    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        visit(handle, b".", b"")
    finally:
        os.close(handle)
    for names in inodes.values():
        for name in names:
            found[name]["same as"] = (min(names), len(names))
    return found


def differences(one: Path, other: Path) -> Iterator[str]:
    """In what two trees differ, a line each."""
    left, right = everything(one), everything(other)
    for path in sorted(left.keys() | right.keys()):
        name = path.decode("utf-8", "backslashreplace") or "."
        if path not in left or path not in right:
            yield f"{name} is only in {one if path in left else other}"
            continue
        for what in sorted(left[path].keys() | right[path].keys()):
            if left[path].get(what) != right[path].get(what):
                yield f"{name} has another {what}: {left[path].get(what)} and {right[path].get(what)}"


def assert_same(source: Path, destination: Path) -> None:
    """Both trees are the same in everything that must survive."""
    found = list(itertools.islice(differences(source, destination), 5))
    assert not found, "\n".join(found)


def holes(path: Path) -> list[tuple[int, int]]:
    """The allocated ranges of a file as the file system tells them."""
    ranges = []
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        at = 0
        while at < size:
            try:
                begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            ranges.append((begin, at))
    return ranges


def random_bytes(size: int, seed: int) -> bytes:
    """Incompressible bytes, the same for the same seed."""
    import random

    return random.Random(seed).randbytes(size)


def plausible_tree(root: Path, *, files: int = 120, large: int = 6 << 20) -> None:
    """A mixture: small files in folders, a large one that compresses by half, a hard link, a symlink, a sparse file."""
    root.mkdir(exist_ok=True)
    for number in range(files):
        folder = root / f"folder-{number % 7}" / f"inner-{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file-{number}").write_bytes(random_bytes((number * 977) % 40_000, number))
    (root / "large").write_bytes(random_bytes(large // 2, 1) + b"compressible " * (large // 2 // 13))
    os.link(root / "large", root / "the same")
    (root / "symlink").symlink_to("nowhere/at/all")
    with open(root / "sparse", "wb") as file:
        file.truncate(9 << 20)
        file.seek(4 << 20)
        file.write(b"in the middle")
    (root / "empty folder").mkdir()
    os.utime(root / "empty folder", ns=(1, 1_234_567_890_123_456_789))
    os.chmod(root / "folder-1", 0o2751)
