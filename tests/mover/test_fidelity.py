"""What goes in comes out: every kind of entry, every attribute."""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from tests.mover.conftest import Bench
from tests.mover.trees import everything, holes, plausible_tree, random_bytes

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away and make devices")
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *each)
    for each in ((1, 7, 0xFFFFFFFF), (2, 5, 1234), (4, 5, 0xFFFFFFFF), (16, 5, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF))
)


def carry(bench: Bench, source: Path, destination: Path) -> None:
    """Push and pull, and compare both sides independently."""
    pushed = bench.run("push", source)
    pulled = bench.run("pull", destination)
    assert everything(destination) == everything(source)
    assert pulled["digest"] == pushed["digest"]
    assert (pulled["files"], pulled["bytes"]) == (pushed["files"], pushed["bytes"])
    assert pulled["unkept"] == []
    assert not (destination / ".kubemotion-mover").exists()


def test_a_plausible_tree_arrives_whole(bench: Bench, source: Path, destination: Path) -> None:
    plausible_tree(source)
    carry(bench, source, destination)


def test_an_empty_tree_arrives_with_its_root(bench: Bench, source: Path, destination: Path) -> None:
    os.chmod(source, 0o1770)
    os.utime(source, ns=(5, 987_654_321))
    carry(bench, source, destination)
    assert stat.S_IMODE(destination.stat().st_mode) == 0o1770


def test_sizes_around_the_chunk_boundary_arrive(bench: Bench, source: Path, destination: Path) -> None:
    chunk = 1 << 20
    for size in (0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 2 * chunk, 2 * chunk + 1, 5 * chunk):
        (source / f"random-{size}").write_bytes(random_bytes(size, size))
        (source / f"zeros-{size}").write_bytes(bytes(size))
    carry(bench, source, destination)
    assert holes(destination / f"zeros-{5 * chunk}") == [(0, 5 * chunk)]


def test_sparse_files_stay_sparse(bench: Bench, source: Path, destination: Path) -> None:
    mebibyte = 1 << 20
    shapes = {
        "only a hole": (40 * mebibyte + 17, []),
        "small hole": (70_000, []),
        "end": (9 * mebibyte, [9 * mebibyte - 5000]),
        "begin": (9 * mebibyte + 1, [0]),
        "scattered": (64 * mebibyte + 3, [4096 * 3, 4096 * 5, mebibyte - 4096, 7 * mebibyte + 8192, 63 * mebibyte]),
        "small scattered": (900_000, [65536, 524288]),
    }
    for name, (size, written) in shapes.items():
        with open(source / name, "wb") as file:
            file.truncate(size)
            for offset in written:
                file.seek(offset)
                file.write(b"data" * 1000)
    carry(bench, source, destination)
    for name in shapes:
        assert holes(destination / name) == holes(source / name), name
        assert (destination / name).stat().st_blocks <= (source / name).stat().st_blocks + 8


def test_holes_that_the_count_of_blocks_hides_stay_holes(bench: Bench, source: Path, destination: Path) -> None:
    """A file's blocks are also those of its attributes, and those that were set aside behind its end."""
    for name, size, hole in (("small", 100_000, 40_960), ("large", 3 << 20, 1 << 20), ("page", 4096, 4096)):
        for how in ("attributes", "preallocated"):
            with open(source / f"{name} {how}", "wb") as file:
                file.write(random_bytes(size - hole, size))
                file.truncate(size)
            if how == "attributes":
                os.setxattr(source / f"{name} {how}", "user.long", b"v" * 2000)
    for path in source.glob("* preallocated"):
        subprocess.run(["fallocate", "--keep-size", "-o", "8MiB", "-l", "2MiB", str(path)], check=True)
    hidden = [path for path in source.iterdir() if path.stat().st_blocks * 512 >= path.stat().st_size]
    carry(bench, source, destination)
    for path in source.iterdir():
        assert holes(destination / path.name) == holes(path), path.name
    if not hidden:
        pytest.skip("this file system's count of blocks hides no holes")


def test_a_terabyte_of_hole_costs_nothing(bench: Bench, source: Path, destination: Path) -> None:
    with open(source / "huge", "wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 39)
        file.write(b"in the middle of nowhere")
    pushed = bench.run("push", source)
    pulled = bench.run("pull", destination)
    assert pulled["digest"] == pushed["digest"]
    assert pushed["bytes_sent"] < 100_000
    assert (destination / "huge").stat().st_size == 1 << 40
    assert holes(destination / "huge") == holes(source / "huge")
    with open(destination / "huge", "rb") as file:
        file.seek(1 << 39)
        assert file.read(24) == b"in the middle of nowhere"


def test_names_of_every_kind_arrive(bench: Bench, source: Path, destination: Path) -> None:
    for name in (b"\xff\xfe not utf-8", b"n" * 255, "ünï – 文字".encode(), b"new\nline", b'"quoted"\\', b" ", b"-rf"):
        (Path(os.fsdecode(os.fsencode(source) + b"/" + name))).write_bytes(b"content of " + name)
        os.symlink(name, os.fsencode(source) + b"/link-" + name[:200])
    os.symlink(b"\xfa\xfb/\xfc", os.fsencode(source) + b"/symlink to bytes")
    carry(bench, source, destination)


def test_paths_longer_than_the_kernel_takes_arrive(bench: Bench, source: Path, destination: Path) -> None:
    here = os.open(source, os.O_RDONLY)
    for _ in range(40):
        os.mkdir(b"d" * 200, dir_fd=here)
        below = os.open(b"d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    handle = os.open(b"at the bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here)
    os.write(handle, b"deep")
    os.close(handle)
    os.symlink(b"x", b"symlink", dir_fd=here)
    os.link(b"at the bottom", b"hard link", src_dir_fd=here, dst_dir_fd=here)
    os.close(here)
    carry(bench, source, destination)
    assert max(map(len, everything(destination))) > 8000


def test_hard_links_stay_one_file(bench: Bench, source: Path, destination: Path) -> None:
    (source / "z").mkdir()
    (source / "a").mkdir()
    (source / "z" / "first made").write_bytes(b"shared")
    for number in range(50):
        os.link(source / "z" / "first made", source / "a" / f"name-{number}")
    (source / "symlink").symlink_to("a")
    os.link(source / "symlink", source / "symlink too", follow_symlinks=False)
    os.mkfifo(source / "fifo")
    os.link(source / "fifo", source / "fifo too")
    carry(bench, source, destination)
    assert (destination / "z" / "first made").stat().st_nlink == 51


@root_only
def test_owners_special_bits_and_devices_arrive(bench: Bench, source: Path, destination: Path) -> None:
    (source / "setuid").write_bytes(b"#!")
    os.chown(source / "setuid", 1001, 1002)
    os.chmod(source / "setuid", 0o6751)
    (source / "shared").mkdir()
    os.chown(source / "shared", 70_000, 4_000_000_000)
    os.chmod(source / "shared", 0o3777)
    (source / "unreadable").write_bytes(b"secret")
    os.chmod(source / "unreadable", 0)
    os.mknod(source / "null", stat.S_IFCHR | 0o640, os.makedev(1, 3))
    os.mknod(source / "disk", stat.S_IFBLK | 0o600, os.makedev(259, 1_000_001 % 4096))
    (source / "symlink").symlink_to("setuid")
    os.chown(source / "symlink", 12, 34, follow_symlinks=False)
    os.utime(source / "symlink", ns=(1, -1_000_000_001), follow_symlinks=False)
    os.chown(source, 33, 33)
    carry(bench, source, destination)


@root_only
def test_extended_attributes_and_acls_arrive(bench: Bench, source: Path, destination: Path) -> None:
    (source / "file").write_bytes(b"with attributes")
    (source / "folder").mkdir()
    (source / "folder" / "inside").write_bytes(b"x")
    os.setxattr(source / "file", "user.binary", bytes(range(256)))
    os.setxattr(source / "file", "user.empty", b"")
    os.setxattr(source / "file", "trusted.overlay", b"y")
    os.setxattr(source / "folder", "user.note", b"on a folder")
    # cap_net_bind_service=ep
    os.setxattr(source / "file", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.symlink("file", source / "symlink")
    os.setxattr(source / "symlink", "trusted.link", b"on the symlink", follow_symlinks=False)
    try:
        os.setxattr(source / "file", "system.posix_acl_access", ACL)
        os.setxattr(source / "folder", "system.posix_acl_default", ACL)
        os.setxattr(source, "system.posix_acl_default", ACL)
    except OSError:
        pytest.skip("this file system has no ACLs")
    carry(bench, source, destination)


def test_sockets_are_skipped_and_reported(bench: Bench, source: Path, destination: Path) -> None:
    (source / "file").write_bytes(b"x")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(source / "mysqld.sock"))
        pushed = bench.run("push", source)
    assert pushed["unkept"] == [{"what": "socket", "count": 1, "example": "mysqld.sock"}]
    assert [warning["path"] for warning in bench.warnings] == ["mysqld.sock"]
    bench.run("pull", destination)
    assert sorted(os.listdir(destination)) == ["file"]


def test_lost_and_found_is_left_alone_on_both_sides(bench: Bench, source: Path, destination: Path) -> None:
    for side in (source, destination):
        (side / "lost+found").mkdir(mode=0o700)
        (side / "lost+found" / f"of {side.name}").write_bytes(b"x")
    (source / "deeper").mkdir()
    (source / "deeper" / "lost+found").mkdir()
    carry(bench, source, destination)
    assert os.listdir(destination / "lost+found") == ["of destination"]
    assert (destination / "deeper" / "lost+found").is_dir()


def test_a_leftover_state_folder_on_the_source_is_not_carried(bench: Bench, source: Path, destination: Path) -> None:
    (source / ".kubemotion-mover").mkdir()
    (source / ".kubemotion-mover" / "state.json").write_text("{}")
    (source / "file").write_bytes(b"x")
    carry(bench, source, destination)


def test_compressible_data_is_sent_small_and_incompressible_data_once(bench: Bench, source: Path) -> None:
    (source / "text").write_bytes(b"the same sentence again and again, " * 200_000)
    assert bench.run("push", source)["bytes_sent"] < 100_000
    (source / "noise").write_bytes(random_bytes(4 << 20, 3))
    assert 4 << 20 < bench.run("push", source)["bytes_sent"] < (4 << 20) + 100_000
