"""Whatever happens to a tree between two passes, the second brings the destination to what the source then is."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.s3 import RunningS3
from mover.tree import punch_hole
from tests.mover.conftest import Bench, new_bench
from tests.mover.test_random_trees import plant, relaxed, two_folders, volumes
from tests.mover.trees import assert_same, holes, random_bytes

SIZE = 3 << 20
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def overwrite(path: Path, *, at: int = 0, keep_time: bool = False) -> None:
    """Other bytes in place, the size as before, and the modification time as well where asked."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes(byte ^ 0xFF for byte in path.read_bytes()[at : at + 50]))
    if keep_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def punch(path: Path, at: int, length: int) -> None:
    """A hole in the middle."""
    with path.open("r+b") as file:
        assert punch_hole(file.fileno(), at, length)


def replace(path: Path, make: Callable[[Path], object]) -> None:
    """Something else under the same name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    make(path)


def reuse_inode(path: Path) -> None:
    """Another file with the inode, the size and the modification time of the one before."""
    status = path.stat()
    path.unlink()
    path.write_bytes(random_bytes(status.st_size, 99))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def break_link(path: Path) -> None:
    """What was one file under two names is two files."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content + b"now its own")


def folder_of_files(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_bytes(b"x")


# What is done in a folder with `small` and `large`, `link` to large, `dir/inside`, `symlink` and `fifo`.
CHANGES: dict[str, Callable[[Path], object]] = {
    "appended": lambda here: [(here / n).open("ab").write(b"more") for n in ("small", "large")],
    "truncated": lambda here: [os.truncate(here / n, 100) for n in ("small", "large")],
    "emptied": lambda here: [os.truncate(here / n, 0) for n in ("small", "large")],
    "grown by a hole": lambda here: [os.truncate(here / n, 5 << 20) for n in ("small", "large")],
    "punched": lambda here: [punch(here / "large", 1 << 20, 1 << 20), punch(here / "small", 4096, 8192)],
    "punched at the begin and end": lambda here: [
        punch(here / "large", 0, 65536),
        punch(here / "large", SIZE - 4096, 4096),
    ],
    "overwritten": lambda here: [overwrite(here / "small"), overwrite(here / "large", at=2 << 20)],
    "overwritten, size and time kept": lambda here: [
        overwrite(here / "small", keep_time=True),
        overwrite(here / "large", at=1 << 20, keep_time=True),
    ],
    "an inode used again": lambda here: [reuse_inode(here / "small"), reuse_inode(here / "dir" / "inside")],
    "renamed": lambda here: [(here / "small").rename(here / "a"), (here / "large").rename(here / "z")],
    "exchanged": lambda here: [
        (here / "small").rename(here / "x"),
        (here / "dir" / "inside").rename(here / "small"),
        (here / "x").rename(here / "dir" / "inside"),
    ],
    "a folder renamed": lambda here: (here / "dir").rename(here / "elsewhere"),
    "moved into a folder": lambda here: (here / "small").rename(here / "dir" / "small"),
    "removed": lambda here: [(here / "small").unlink(), shutil.rmtree(here / "dir"), (here / "fifo").unlink()],
    "a file becomes a folder": lambda here: replace(here / "small", folder_of_files),
    "a file becomes a symlink": lambda here: replace(here / "small", lambda path: path.symlink_to("large")),
    "a file becomes a fifo": lambda here: replace(here / "small", os.mkfifo),
    "a folder becomes a file": lambda here: replace(here / "dir", lambda path: path.write_bytes(b"x")),
    "a folder becomes a symlink": lambda here: replace(here / "dir", lambda path: path.symlink_to("/etc")),
    "a folder becomes a fifo": lambda here: replace(here / "dir", os.mkfifo),
    "a symlink becomes a file": lambda here: replace(here / "symlink", lambda path: path.write_bytes(b"x")),
    "a symlink becomes a folder": lambda here: replace(here / "symlink", folder_of_files),
    "a symlink points elsewhere": lambda here: replace(here / "symlink", lambda path: path.symlink_to("large")),
    "a fifo becomes a file": lambda here: replace(here / "fifo", lambda path: path.write_bytes(b"x")),
    "a fifo becomes a folder": lambda here: replace(here / "fifo", folder_of_files),
    "a link made": lambda here: [
        os.link(here / "small", here / "dir" / "too"),
        os.link(here / "fifo", here / "fifo too"),
    ],
    "a link broken": lambda here: break_link(here / "link"),
    "a link of another": lambda here: replace(here / "link", lambda path: os.link(here / "small", path)),
    "a link's file written": lambda here: overwrite(here / "link", at=100),
    "mode only": lambda here: [(here / n).chmod(0o4711) for n in ("small", "large", "dir", "fifo")],
    "time only": lambda here: [
        os.utime(here / n, ns=(1, 1_500_000_000_123_456_789), follow_symlinks=False)
        for n in ("small", "large", "dir", "fifo", "symlink")
    ],
    "attributes only": lambda here: [os.setxattr(here / n, "user.new", b"value") for n in ("small", "large", "dir")],
    "attributes changed and gone": lambda here: [
        os.setxattr(here / "small", "user.old", b"other"),
        os.removexattr(here / "large", "user.old"),
    ],
    "owner only": lambda here: [
        os.chown(here / n, 1234, 4321, follow_symlinks=False)
        for n in (("small", "large", "dir", "symlink", "fifo") if os.geteuid() == 0 else ())
    ],
}


def furnish(here: Path) -> None:
    here.mkdir()
    (here / "small").write_bytes(random_bytes(60_000, 1))
    (here / "large").write_bytes(random_bytes(SIZE, 2))
    os.link(here / "large", here / "link")
    (here / "dir").mkdir()
    (here / "dir" / "inside").write_bytes(random_bytes(5000, 3))
    (here / "symlink").symlink_to("small")
    os.mkfifo(here / "fifo")
    for name in ("small", "large"):
        os.setxattr(here / name, "user.old", b"value")


def test_every_change_arrives_by_a_second_pass(bench: Bench, source: Path, destination: Path) -> None:
    for name in CHANGES:
        furnish(source / name)
    bench.run("push", source)
    bench.run("pull", destination)
    for name, change in CHANGES.items():
        change(source / name)
    second = bench.run("push", source, MOVER_PASS="2")
    pulled = bench.run("pull", destination, MOVER_PASS="2")
    assert_same(source, destination)
    assert pulled["digest"] == second["digest"]
    for name in CHANGES:
        for path in (source / name).iterdir():
            if stat.S_ISREG(path.lstat().st_mode):
                assert holes(destination / name / path.name) == holes(path), path
    assert bench.run("verify", destination)["digest"] == second["digest"]
    # Neither side carries what stayed: a hundred large files, and little of them was touched.
    assert second["bytes_sent"] < 12 << 20
    assert bench.run("push", source, MOVER_PASS="2")["bytes_sent"] == 0


def test_a_change_that_keeps_size_and_time_is_found_by_its_change_time(
    bench: Bench, source: Path, destination: Path
) -> None:
    (source / "small").write_bytes(random_bytes(1000, 1))
    (source / "large").write_bytes(random_bytes(SIZE, 2))
    first = bench.run("push", source)
    before = {path.name: path.stat() for path in source.iterdir()}
    for path in source.iterdir():
        overwrite(path, keep_time=True)
    for path in source.iterdir():
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (
            before[path.name].st_size,
            before[path.name].st_mtime_ns,
        )
    assert bench.run("push", source)["digest"] != first["digest"]
    bench.run("pull", destination)
    assert_same(source, destination)


KINDS: list[Callable[[bytes], object]] = [
    os.mkdir,
    os.mkfifo,
    lambda path: os.symlink(b"new", path),
    lambda path: Path(os.fsdecode(path)).write_bytes(b"new"),
]


def mutate(root: Path, what: str, first: int, second: int) -> None:
    """One change somewhere in the tree, where it is possible there."""
    paths = sorted(
        os.path.join(folder, name)
        for folder, folders, files in os.walk(os.fsencode(root))
        for name in [*folders, *files]
    )
    if not paths:
        return
    path = paths[first % len(paths)]
    status = os.lstat(path)
    is_file, is_folder = stat.S_ISREG(status.st_mode), stat.S_ISDIR(status.st_mode)
    where = Path(os.fsdecode(path))
    if what == "replace":
        replace(where, lambda _: KINDS[second % len(KINDS)](path))
    elif what == "remove":
        replace(where, lambda _: None)
    elif what == "rename":
        os.rename(path, os.path.join(os.path.dirname(path), b"renamed %d %d" % (first, second)))
    elif what == "link" and not is_folder:
        os.link(path, os.path.join(os.path.dirname(path), b"link %d %d" % (first, second)), follow_symlinks=False)
    elif what == "mode" and not stat.S_ISLNK(status.st_mode):
        os.chmod(path, second % 0o10000)
    elif what == "owner":
        os.chown(path, second, second, follow_symlinks=False)
    elif what == "time":
        os.utime(path, ns=(0, second), follow_symlinks=False)
    elif what == "attribute" and (is_file or is_folder):
        os.setxattr(path, "user.changed", b"%d" % second)
    elif what == "write" and is_file and status.st_size:
        overwrite(where, at=second % status.st_size, keep_time=bool(second % 2))
    elif what == "truncate" and is_file:
        os.truncate(path, second % (2 * status.st_size + 1))
    elif what == "punch" and is_file and status.st_size:
        punch(where, second % status.st_size, status.st_size)
    elif what == "inode" and is_file:
        reuse_inode(where)


OPERATIONS = (
    *("replace", "remove", "rename", "link", "mode", "owner", "time", "attribute"),
    *("write", "truncate", "punch", "inode"),
)
changes = st.lists(
    st.tuples(
        st.sampled_from(OPERATIONS),
        st.integers(0, 10_000),
        st.integers(0, 4_000_000),
    ),
    min_size=1,
    max_size=12,
)


@root_only
@relaxed
@given(volumes, st.lists(changes, min_size=1, max_size=3))
def test_random_changes_arrive_by_further_passes(s3: RunningS3, volume: tuple, passes: list[list]) -> None:
    bench = new_bench(s3)
    with two_folders() as (source, destination):
        plant(os.fsencode(source), volume, [])
        bench.run("push", source)
        bench.run("pull", destination)
        for number, some in enumerate(passes, 2):
            for change in some:
                mutate(source, *change)
            pushed = bench.run("push", source, MOVER_PASS=str(number))
            pulled = bench.run("pull", destination, MOVER_PASS=str(number))
            assert_same(source, destination)
            assert pulled["digest"] == pushed["digest"]
        assert bench.run("verify", destination)["digest"] == pushed["digest"]
