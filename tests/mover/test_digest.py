"""`digest` reads a tree anew without the object store, and a second look names exactly what differs."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mover.blocks import CHUNK_BYTES
from mover.inspection import BUCKETS
from tests.mover.conftest import Bench, Outcome, finished, measured
from tests.mover.torture import make as make_torture
from tests.mover.trees import plausible_tree, random_bytes

KEY = base64.b64encode(bytes(range(32))).decode()
ALONE = {"MOVER_DIGEST_KEY": KEY, "MOVER_VOLUME": "cms/data", "MOVER_WORKERS": "2"}


def read(bench: Bench, path: Path, *arguments: str, **changed: str) -> Outcome:
    """What `digest` says of a tree: with nothing of the object store in its environment."""
    return finished(Bench(ALONE, bench.s3).start("digest", path, environment=changed, more=arguments))


def sums(outcome: Outcome) -> bytes:
    lines = [line for line in outcome.lines if line["type"] == "buckets"]
    assert [line["first"] for line in lines] == sorted(line["first"] for line in lines)
    return b"".join(base64.b64decode(line["sums"]) for line in lines)


def differing(bench: Bench, one: Path, other: Path, **changed: str) -> dict[str, list[str]]:
    """The paths that differ, and in which fields, as two looks at both sides find them."""
    left, right = read(bench, one, **changed), read(bench, other, **changed)
    assert left.status == right.status == 0, (left, right)
    before, after = sums(left), sums(right)
    assert len(before) == len(after) == BUCKETS * 8
    buckets = [str(n) for n in range(BUCKETS) if before[n * 8 : n * 8 + 8] != after[n * 8 : n * 8 + 8]]
    assert bool(buckets) == (left.last["digest"] != right.last["digest"])
    if not buckets:
        return {}
    listed = ("--buckets", ",".join(buckets))
    entries = [
        {line["id"]: line for line in read(bench, path, *listed, **changed).lines if line["type"] == "entry"}
        for path in (one, other)
    ]
    found = {}
    for each in entries[0].keys() | entries[1].keys():
        a, b = entries[0].get(each, {}), entries[1].get(each, {})
        unlike = sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))
        if unlike:
            found[(a or b)["path"]] = unlike if a and b else ["missing"]
    return found


@pytest.fixture
def twins(source: Path, destination: Path) -> tuple[Path, Path]:
    """A tree, and another one that is the same in everything."""
    plausible_tree(source / "plausible", files=20, large=3 << 20)
    subprocess.run(["cp", "-a", f"{source}/.", destination], check=True)
    return source, destination


def test_it_is_the_digest_of_the_manifest(bench: Bench, source: Path, destination: Path) -> None:
    make_torture(source)
    told = Bench({**bench.environment, "MOVER_S3_PREFIX": "digest", "MOVER_DATA_KEY": KEY}, bench.s3)
    pushed = told.run("push", source)
    told.run("pull", destination)
    for side in (source, destination):
        found = read(bench, side).last
        assert (found["digest"], found["files"], found["bytes"]) == (
            pushed["digest"],
            pushed["files"],
            pushed["bytes"],
        )
    assert differing(bench, source, destination) == {}
    told.run("clean")


def set_byte(root: Path) -> None:
    path = root / "plausible" / "large"
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(1 << 20)
        before = file.read(1)
        file.seek(1 << 20)
        file.write(bytes([before[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def add(root: Path) -> None:
    status = root.stat()
    (root / "more").write_bytes(b"")
    os.utime(root, ns=(status.st_atime_ns, status.st_mtime_ns))


def link(root: Path) -> None:
    status = root.stat()
    (root / "again").write_bytes(b"once")
    os.link(root / "again", root / "and again")
    os.utime(root, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[str, tuple[Callable[[Path], Any], dict[str, list[str]]]] = {
    "one bit of a large file": (set_byte, {"plausible/large": ["content"]}),
    "a mode": (lambda root: (root / "plausible" / "large").chmod(0o4711), {"plausible/large": ["mode"]}),
    "an owner": (lambda root: os.chown(root / "plausible" / "large", 7, 8), {"plausible/large": ["gid", "uid"]}),
    "a time, by a nanosecond": (
        lambda root: os.utime(root / "plausible", ns=(1, (root / "plausible").stat().st_mtime_ns + 1)),
        {"plausible": ["mtime"]},
    ),
    "an attribute": (
        lambda root: os.setxattr(root / "plausible" / "large", "user.more", b"x"),
        {"plausible/large": ["xattrs"]},
    ),
    "a file more": (add, {"more": ["missing"]}),
    "hard links": (link, {"again": ["missing"], "and again": ["missing"]}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_differs_is_named(bench: Bench, twins: tuple[Path, Path], change: str) -> None:
    make, expected = CHANGES[change]
    make(twins[1])
    assert differing(bench, *twins) == expected


def test_what_could_not_be_kept_is_left_out_where_that_is_said(bench: Bench, twins: tuple[Path, Path]) -> None:
    path = twins[1] / "plausible" / "large"
    os.chown(path, 7, 8)
    os.setxattr(path, "user.more", b"x")
    path.chmod(0o600)
    unlike = {"plausible/large": ["gid", "mode", "uid", "xattrs"]}
    assert differing(bench, *twins) == unlike
    assert differing(bench, *twins, MOVER_LEAVE_OUT="owner,mode,xattr:user") == {}
    assert differing(bench, *twins, MOVER_LEAVE_OUT="owner,xattr:security") == {"plausible/large": ["mode", "xattrs"]}


def test_sockets_and_what_is_no_content_make_no_difference(bench: Bench, source: Path, destination: Path) -> None:
    for root in (source, destination):
        (root / "file").write_bytes(b"x")
        os.utime(root / "file", ns=(1, 1))
    (destination / "lost+found").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(destination / "socket"))
    # The same file once with a hole and once without.
    (source / "zeros").write_bytes(bytes(1 << 20))
    with (destination / "zeros").open("wb") as file:
        file.truncate(1 << 20)
    for root in (source, destination):
        os.utime(root / "zeros", ns=(1, 1))
        os.utime(root, ns=(1, 1))
    assert differing(bench, source, destination) == {}


def test_of_a_device_only_what_was_migrated_counts(bench: Bench, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(random_bytes(3 << 20, 1))
    other.write_bytes(one.read_bytes() + bytes(1 << 20))
    raw = {"MOVER_VOLUME_MODE": "Block", "MOVER_DEVICE_BYTES": str(3 << 20)}
    assert differing(bench, one, other, **raw) == {}
    with other.open("r+b") as file:
        file.seek(2_000_000)
        file.write(b"!")
    assert differing(bench, one, other, **raw) == {"device": ["content"]}
    other.write_bytes(one.read_bytes()[: 2 << 20])
    assert differing(bench, one, other, **raw) == {"device": ["content", "size"]}


def test_a_file_that_may_not_be_read_is_an_error_that_names_it(bench: Bench, source: Path) -> None:
    (source / "folder").mkdir()
    (source / "folder" / "secret").write_bytes(b"x")
    os.chown(source / "folder" / "secret", 7, 7)
    (source / "folder" / "secret").chmod(0o600)
    alone = Bench({"MOVER_DIGEST_KEY": KEY, "MOVER_VOLUME": "cms/data"}, bench.s3)
    outcome = alone.process("digest", source, privileged=False)
    assert outcome.status == 7
    assert outcome.last["code"] == "source-unreadable"
    assert "folder/secret" in outcome.last["message"]
    assert "DAC_READ_SEARCH" in outcome.last["message"]


def test_what_is_missing_is_told(bench: Bench, source: Path, tmp_path: Path) -> None:
    assert read(bench, tmp_path / "nothing").status == 7
    outcome = read(bench, source, MOVER_DIGEST_KEY="", MOVER_VOLUME_MODE="Tape")
    assert outcome.status == 2
    assert outcome.last["message"] == ("MOVER_DIGEST_KEY is not set; MOVER_VOLUME_MODE must be Filesystem or Block.")


def test_nothing_is_changed_and_no_content_is_said(bench: Bench, source: Path) -> None:
    (source / "file").write_bytes(b"CANARY of content")
    os.setxattr(source / "file", "user.canary", b"CANARY of an attribute")
    before = [(each, os.lstat(each)) for each in (source, source / "file")]
    first = read(bench, source)
    every = read(bench, source, "--buckets", ",".join(map(str, range(BUCKETS))))
    assert {line["path"] for line in every.lines if line["type"] == "entry"} == {".", "file"}
    for outcome in (first, every):
        assert outcome.status == 0
        assert "CANARY" not in str(outcome)
        assert KEY not in str(outcome)
    for path, status in before:
        now = os.lstat(path)
        assert (now.st_mtime_ns, now.st_ctime_ns) == (status.st_mtime_ns, status.st_ctime_ns)


def test_another_key_gives_other_digests(bench: Bench, source: Path) -> None:
    (source / "file").write_bytes(b"x")
    one = read(bench, source)
    other = read(bench, source, MOVER_DIGEST_KEY=base64.b64encode(bytes(32)).decode())
    assert one.last["digest"] != other.last["digest"]
    assert sums(one) != sums(other)


def test_lines_stay_short_and_memory_bounded(bench: Bench, source: Path) -> None:
    for number in range(20_000):
        (source / f"{number:05}").touch()
    said, peak = measured("digest", source, ALONE)
    assert said[-1]["files"] == 20_000
    assert all(len(str(line)) < 16_000 for line in said)
    assert peak < 256 << 20


def parts(bench: Bench, path: Path, **changed: str) -> dict[str, list[tuple[int, list[str]]]]:
    """Of each listed entry with several parts: their length and digests, line by line."""
    everything = ("--buckets", ",".join(map(str, range(BUCKETS))))
    found: dict[str, list[tuple[int, list[str]]]] = {}
    names = {}
    for line in read(bench, path, *everything, **changed).lines:
        if line["type"] == "entry":
            names[line["id"]] = line["path"]
        if line["type"] == "parts":
            told = base64.b64decode(line["sums"])
            digests = [told[at : at + 8].hex() for at in range(0, len(told), 8)]
            lines = found.setdefault(names[line["id"]], [])
            assert line["first"] == sum(len(each) for _, each in lines)
            lines.append((line["length"], digests))
    return found


def test_parts_of_large_files_are_told_whole_chunks_each(bench: Bench, source: Path) -> None:
    (source / "small").write_bytes(random_bytes(CHUNK_BYTES, seed=1))
    (source / "two").write_bytes(random_bytes(CHUNK_BYTES + 1, seed=2))
    with (source / "large").open("wb") as file:
        file.truncate(100 * CHUNK_BYTES)
    found = parts(bench, source)
    assert set(found) == {"two", "large"}
    ((length, digests),) = found["two"]
    assert (length, len(digests)) == (CHUNK_BYTES, 2)
    ((length, digests),) = found["large"]
    assert (length, len(digests)) == (4 * CHUNK_BYTES, 25)
    assert len(set(digests)) == 1
    # Zeros are zeros, whether they are stored or not; and one byte is in one part.
    with (source / "large").open("r+b") as file:
        file.write(bytes(3 * CHUNK_BYTES + 5))
    assert parts(bench, source)["large"] == found["large"]
    with (source / "large").open("r+b") as file:
        file.seek(9 * CHUNK_BYTES + 7)
        file.write(b"x")
    ((_, changed),) = parts(bench, source)["large"]
    assert [n for n in range(25) if changed[n] != digests[n]] == [2]


def test_a_device_tells_each_chunk(bench: Bench, tmp_path: Path) -> None:
    device = tmp_path / "device"
    with device.open("wb") as file:
        file.truncate(2000 * CHUNK_BYTES)
        file.seek(1500 * CHUNK_BYTES)
        file.write(b"x")
    lines = parts(bench, device, MOVER_VOLUME_MODE="Block")["device"]
    assert [(length, len(each)) for length, each in lines] == [(CHUNK_BYTES, 1024), (CHUNK_BYTES, 976)]
    digests = [each for _, line in lines for each in line]
    assert [n for n in range(2000) if digests[n] != digests[0]] == [1500]
