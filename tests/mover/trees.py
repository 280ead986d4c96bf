"""Trees for the mover's tests: making them, and telling everything about them without the mover's own code."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any


def everything(root: Path) -> dict[bytes, Any]:
    """All that must survive, by path; names that share an inode tell of each other."""
    base = os.fsencode(root)
    found: dict[bytes, Any] = {}
    inodes: dict[tuple[int, int], list[bytes]] = {}
    pending = [b""]
    while pending:
        relative = pending.pop()
        path = base + b"/" + relative if relative else base
        status = os.lstat(path)
        kind = stat.S_IFMT(status.st_mode)
        details: dict[str, Any] = {
            "kind": kind,
            "mode": stat.S_IMODE(status.st_mode),
            "owner": (status.st_uid, status.st_gid),
            "mtime": status.st_mtime_ns,
            "xattrs": {
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)
                if name != "security.selinux"
            },
        }
        if kind == stat.S_IFREG:
            with open(path, "rb") as file:
                details["content"] = hashlib.file_digest(file, "sha256").hexdigest()
            details["size"] = status.st_size
        elif kind == stat.S_IFLNK:
            details["target"] = os.readlink(path)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            details["device"] = status.st_rdev
        elif kind == stat.S_IFDIR:
            names = os.listdir(path)
            if not relative:
                names = [name for name in names if name not in (b"lost+found", b".kubemotion-mover")]
            pending += [relative + b"/" + name if relative else name for name in names]
        if kind != stat.S_IFDIR and status.st_nlink > 1:
            inodes.setdefault((status.st_dev, status.st_ino), []).append(relative)
        found[relative] = details
    for names in inodes.values():
        for name in names:
            found[name]["same as"] = tuple(sorted(names))
    return found


def assert_same(source: Path, destination: Path) -> None:
    """Both trees are the same in everything that must survive."""
    left, right = everything(source), everything(destination)
    assert sorted(left) == sorted(right)
    for path in left:
        assert left[path] == right[path], path


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
