"""`python -m tests.mover.torture make FOLDER` makes a tree of everything that is awkward to carry.

What this process or the file system does not allow is left out, and told. `python -m tests.mover.torture compare ONE
OTHER` says in what two trees differ, without the mover's own code; its status is 1 when they do.
"""

from __future__ import annotations

import argparse
import functools
import os
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.mover.trees import differences, holes, plausible_tree, random_bytes

MEBIBYTE = 1 << 20
NAMES = (
    b"n" * 255,
    "ö".encode() * 127 + b"x",
    b"\xff\xfe\x80 not utf-8",
    "ünï – 文字 – \U0001f409".encode(),
    b"e\xcc\x81 decomposed",
    "é composed".encode(),
    b"new\nline",
    b"carriage\rreturn",
    b"\x01\x1b[31m\x7f",
    b'"quoted" and \\backslash\\',
    b" ",
    b" leading and trailing ",
    b"-rf",
    b"...",
    b"*?[a]",
    b"$(reboot)",
    b"CON",
    b"lost+found inside",
)
# Seconds and nanoseconds since 1970, as far as ext4 goes (2446).
TIMES = (
    (0, 0),
    (0, 1),
    (-1, 999_999_999),
    (-1_000_000_000, 123_456_789),
    (-(1 << 31), 0),
    ((1 << 31) - 1, 999_999_999),
    (1 << 31, 0),
    ((1 << 32) + 5, 7),
    (9_000_000_000, 987_654_321),
    (15_000_000_000, 1),
)
MODES = (0o0000, 0o0111, 0o0400, 0o0777, 0o1777, 0o2755, 0o4755, 0o6711, 0o7777)
ACL_ACCESS = "system.posix_acl_access"
ACL_DEFAULT = "system.posix_acl_default"


def acl(*entries: tuple[int, int, int]) -> bytes:
    """An access control list as the kernel keeps it: tag, permissions and id of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)


NOBODY = 0xFFFFFFFF
ACL = acl((1, 7, NOBODY), (2, 5, 1234), (4, 5, NOBODY), (8, 6, 4321), (16, 7, NOBODY), (32, 0, NOBODY))


def make(root: Path) -> list[str]:
    """Make the tree; what could not be made."""
    root.mkdir(parents=True, exist_ok=True)
    plausible_tree(root / "plausible", files=40, large=3 * MEBIBYTE)
    missing: list[str] = []
    base = os.fsencode(root)
    for what, part in _PARTS.items():
        folder = base + b"/" + what.encode()
        os.mkdir(folder)
        part(folder, missing)
    # Last, because whatever is made in a folder changes its time.
    _times(base + b"/times")
    os.chmod(root, 0o1775)
    os.utime(root, ns=(1, _nanoseconds(TIMES[3])))
    return missing


def _allowed(missing: list[str], what: str, act: Callable[[], object]) -> None:
    try:
        act()
    except OSError as error:
        missing.append(f"{what}: {os.strerror(error.errno or 0)}")


def _write(path: bytes, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _names(folder: bytes, _: list[str]) -> None:
    for number, name in enumerate(NAMES):
        _write(folder + b"/" + name, b"content of " + name)
        os.mkdir(folder + b"/%03d" % number)
        _write(folder + b"/%03d/" % number + name, b"")
        os.symlink(name, folder + b"/link %d" % number)


def _sizes(folder: bytes, _: list[str]) -> None:
    for unit in (4096, 128 << 10, MEBIBYTE):
        for size in (unit - 1, unit, unit + 1, 2 * unit + 1):
            _write(folder + b"/random %d" % size, random_bytes(size, size))
            _write(folder + b"/zeros %d" % size, bytes(size))
    _write(folder + b"/empty", b"")
    for number in range(500):
        _write(folder + b"/small %d" % number, random_bytes(number, number))


def _deep(folder: bytes, _: list[str]) -> None:
    """Deeper than a path may be long."""
    here = os.open(folder, os.O_RDONLY)
    for _level in range(30):
        os.mkdir(b"d" * 200, dir_fd=here)
        below = os.open(b"d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    handle = os.open(b"at the bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here)
    os.write(handle, b"deep")
    os.close(handle)
    os.close(here)


def _sparse(folder: bytes, _: list[str]) -> None:
    shapes: dict[bytes, tuple[int, list[int]]] = {
        b"only a hole": (40 * MEBIBYTE + 17, []),
        b"data at the end": (9 * MEBIBYTE, [9 * MEBIBYTE - 4096]),
        b"data at the begin": (9 * MEBIBYTE + 1, [0]),
        b"scattered": (64 * MEBIBYTE + 3, [4096 * 3, MEBIBYTE - 4096, 7 * MEBIBYTE + 8192, 63 * MEBIBYTE]),
        b"a gibibyte": (1 << 30, [1 << 29]),
    }
    for name, (size, places) in shapes.items():
        with open(folder + b"/" + name, "wb") as file:
            file.truncate(size)
            for place in places:
                file.seek(place)
                file.write(b"data" * 1000)


def _links(folder: bytes, _: list[str]) -> None:
    os.mkdir(folder + b"/one")
    os.mkdir(folder + b"/two")
    _write(folder + b"/one/file", random_bytes(2 * MEBIBYTE, 11))
    _write(folder + b"/two/empty", b"")
    for number in range(20):
        os.link(folder + b"/one/file", folder + b"/two/name %d" % number)
        os.link(folder + b"/two/empty", folder + b"/one/name %d" % number)
    os.symlink(b"one/file", folder + b"/symlink")
    os.link(folder + b"/symlink", folder + b"/symlink too", follow_symlinks=False)
    os.mkfifo(folder + b"/fifo")
    os.link(folder + b"/fifo", folder + b"/fifo too")
    for name, target in (
        (b"dangling", b"nowhere/at/all"),
        (b"to itself", b"to itself"),
        (b"upwards", b"../../../../etc/passwd"),
        (b"absolute", b"/etc"),
        (b"not utf-8", b"\xfa\xfb/\xfc"),
        (b"long", b"l" * 4000),
    ):
        os.symlink(target, folder + b"/" + name)


def _attributes(folder: bytes, missing: list[str]) -> None:
    _write(folder + b"/file", b"with attributes")
    os.mkdir(folder + b"/folder")
    for name in (b"file", b"folder"):
        path = folder + b"/" + name
        values = {"user.text": b"value", "user.empty": b"", "user.binary": bytes(range(256)), "user.large": b"v" * 2000}
        for attribute, value in {**values, "trusted.note": b"of root", ACL_ACCESS: ACL}.items():
            _allowed(
                missing, f"{attribute} of a {name.decode()}", functools.partial(os.setxattr, path, attribute, value)
            )
    _allowed(missing, "a default ACL", lambda: os.setxattr(folder + b"/folder", ACL_DEFAULT, ACL))
    # It inherits.
    _write(folder + b"/folder/inside", b"x")
    capability = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
    _allowed(missing, "a capability", lambda: os.setxattr(folder + b"/file", "security.capability", capability))


def _modes(folder: bytes, missing: list[str]) -> None:
    for mode in MODES:
        _write(folder + b"/file %04o" % mode, b"x")
        os.mkdir(folder + b"/folder %04o" % mode)
        _write(folder + b"/folder %04o/inside" % mode, b"y")
        for kind in (b"file", b"folder"):
            path = folder + b"/" + kind + b" %04o" % mode
            # Giving it away takes set-id bits off it.
            _allowed(missing, "an owner", functools.partial(os.lchown, path, 1000, 2000))
            os.chmod(path, mode)
    for number in (65534, (1 << 31) - 2):
        _write(folder + b"/owner %d" % number, b"z")
        _allowed(
            missing, f"the owner {number}", functools.partial(os.chown, folder + b"/owner %d" % number, number, number)
        )


def _special(folder: bytes, missing: list[str]) -> None:
    os.mkfifo(folder + b"/fifo", 0o640)
    for name, kind, device in (
        (b"null", 0o020666, os.makedev(1, 3)),
        (b"large numbers", 0o020600, os.makedev(511, 70_000)),
        (b"block", 0o060660, os.makedev(7, 99)),
    ):
        _allowed(missing, "a device", functools.partial(os.mknod, folder + b"/" + name, kind, device))
    os.mkdir(folder + b"/empty folder")
    # It cannot be carried, and has to be told of.
    os.mknod(folder + b"/socket", stat.S_IFSOCK | 0o600)


def _times(folder: bytes, _: list[str] | None = None) -> None:
    os.makedirs(folder, exist_ok=True)
    for number, moment in enumerate(TIMES):
        nanoseconds = _nanoseconds(moment)
        for kind in (b"file", b"folder", b"symlink", b"fifo"):
            path = folder + b"/" + kind + b" %d" % number
            if kind == b"file":
                _write(path, b"x")
            elif kind == b"folder":
                os.mkdir(path)
            elif kind == b"symlink":
                os.symlink(b"x", path)
            else:
                os.mkfifo(path)
            os.utime(path, ns=(nanoseconds, nanoseconds), follow_symlinks=False)
    os.utime(folder, ns=(0, _nanoseconds(TIMES[-1])))


def _nanoseconds(moment: tuple[int, int]) -> int:
    return moment[0] * 1_000_000_000 + moment[1]


_PARTS: dict[str, Callable[[bytes, list[str]], None]] = {
    "names": _names,
    "sizes": _sizes,
    "deep": _deep,
    "sparse": _sparse,
    "links": _links,
    "attributes": _attributes,
    "modes": _modes,
    "special": _special,
}


def main(arguments: list[str] | None = None) -> int:
    """Make the tree where it was asked for, or compare two; the exit status."""
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("make", help="make the tree").add_argument("folder", metavar="FOLDER", type=Path)
    comparing = commands.add_parser("compare", help="say in what two trees differ")
    comparing.add_argument("one", metavar="ONE", type=Path)
    comparing.add_argument("other", metavar="OTHER", type=Path)
    given = parser.parse_args(arguments)
    if given.command == "compare":
        found = [*differences(given.one, given.other), *other_holes(given.one, given.other)]
        for line in found:
            print(line)
        return 1 if found else 0
    if given.folder.exists() and any(given.folder.iterdir()):
        sys.stderr.write(f"{given.folder} is not empty.\n")
        return 2
    for what in make(given.folder):
        print(f"left out: {what}")
    return 0


def other_holes(one: Path, other: Path) -> Iterator[str]:
    """Files that are sparse here and there in other places, a line each."""
    for path in sorted((one / "sparse").glob("*")):
        if holes(path) != holes(other / "sparse" / path.name):
            yield f"sparse/{path.name} has other holes"


if __name__ == "__main__":
    sys.exit(main())
