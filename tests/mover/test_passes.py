"""Later pushes of the same volume: what did not change stays where it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mover.blocks import CHUNK_BYTES
from mover.errors import ForeignContent
from tests.mover.conftest import Bench, finished
from tests.mover.trees import assert_same, random_bytes

MIB = 1 << 20


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_of_a_large_file_only_what_changed_is_sent_again(bench: Bench, source: Path, destination: Path) -> None:
    large = source / "ibdata1"
    large.write_bytes(random_bytes(24 * MIB, 1))
    first = bench.run("push", source)
    assert first["bytes_sent"] > 24 * MIB
    overwrite(large, 5 * MIB + 70_000, b"changed")
    overwrite(large, 20 * MIB, random_bytes(16_384, 2))
    again = bench.run("push", source)
    assert again["digest"] != first["digest"]
    # Two chunks, and the journal.
    assert 2 * CHUNK_BYTES < again["bytes_sent"] < 2 * CHUNK_BYTES + 64 * 1024
    bench.run("pull", destination)
    assert_same(source, destination)


def test_a_large_file_may_grow_shrink_and_get_holes(bench: Bench, source: Path, destination: Path) -> None:
    large = source / "log"
    large.write_bytes(random_bytes(8 * MIB, 3))
    bench.run("push", source)
    with large.open("ab") as file:
        file.write(random_bytes(3 * MIB, 4))
    grown = bench.run("push", source)
    assert 3 * MIB < grown["bytes_sent"] < 3 * MIB + 2 * CHUNK_BYTES
    os.truncate(large, 6 * MIB + 5)
    shrunk = bench.run("push", source)
    assert shrunk["bytes_sent"] < CHUNK_BYTES
    os.truncate(large, 40 * MIB)
    overwrite(large, 30 * MIB, b"end")
    bench.run("push", source)
    bench.run("pull", destination)
    assert_same(source, destination)


def test_a_file_that_replaces_another_takes_over_what_is_the_same(
    bench: Bench, source: Path, destination: Path
) -> None:
    content = random_bytes(6 * MIB, 5)
    (source / "dump").write_bytes(content)
    bench.run("push", source)
    (source / "dump.new").write_bytes(content[: 4 * MIB] + random_bytes(2 * MIB, 6))
    (source / "dump.new").replace(source / "dump")
    again = bench.run("push", source)
    assert 2 * MIB < again["bytes_sent"] < 2 * MIB + 2 * CHUNK_BYTES
    bench.run("pull", destination)
    assert_same(source, destination)


def test_the_destination_is_patched_in_place_by_a_later_pass(bench: Bench, source: Path, destination: Path) -> None:
    (source / "same").write_bytes(random_bytes(3 * MIB, 7))
    (source / "large").write_bytes(random_bytes(24 * MIB, 8))
    (source / "gone").write_bytes(b"gone")
    (source / "small").write_bytes(b"before")
    (source / "folder").mkdir()
    (source / "folder" / "moved").write_bytes(b"moved")
    (source / "linked").write_bytes(random_bytes(2 * MIB, 9))
    os.link(source / "linked", source / "other-name")
    bench.run("push", source)
    bench.run("pull", destination)
    inodes = {name: (destination / name).stat().st_ino for name in ("same", "large", "linked")}

    overwrite(source / "large", 9 * MIB, b"changed")
    (source / "gone").unlink()
    (source / "small").write_bytes(b"after")
    (source / "folder" / "moved").rename(source / "moved")
    (source / "new").write_bytes(b"new")
    (source / "same").chmod(0o640)
    bench.run("push", source, MOVER_PASS="2")
    pulled = bench.run("pull", destination, MOVER_PASS="2")
    assert_same(source, destination)
    assert {name: (destination / name).stat().st_ino for name in inodes} == inodes
    # Of the large files one chunk came.
    assert pulled["bytes_sent"] < 2 * CHUNK_BYTES
    assert bench.run("verify", destination)["digest"] == pulled["digest"]


def test_an_unchanged_volume_gets_its_later_pass_too(bench: Bench, source: Path, destination: Path) -> None:
    (source / "file").write_bytes(random_bytes(2 * MIB, 10))
    first = bench.run("push", source)
    bench.run("pull", destination)
    pull = bench.start("pull", destination, environment={"MOVER_PASS": "2"})
    second = bench.run("push", source, MOVER_PASS="2")
    outcome = finished(pull)
    assert outcome.status == 0, outcome
    assert outcome.last["digest"] == second["digest"] == first["digest"]
    assert second["bytes_sent"] < CHUNK_BYTES
    # Asked again, both sides see that it is done.
    assert bench.run("push", source, MOVER_PASS="2")["digest"] == first["digest"]
    assert bench.run("pull", destination, MOVER_PASS="2")["digest"] == first["digest"]


def test_what_was_changed_at_the_destination_is_made_right(bench: Bench, source: Path, destination: Path) -> None:
    (source / "folder").mkdir()
    (source / "folder" / "file").write_bytes(random_bytes(4 * MIB, 11))
    (source / "folder" / "small").write_bytes(b"right")
    bench.run("push", source)
    bench.run("pull", destination)
    overwrite(destination / "folder" / "file", 2 * MIB, b"wrong")
    (destination / "folder" / "small").write_bytes(b"wrong")
    (destination / "folder" / "strange").write_bytes(b"strange")
    bench.run("push", source, MOVER_PASS="2")
    bench.run("pull", destination, MOVER_PASS="2")
    assert_same(source, destination)


def test_a_destination_in_use_since_the_earlier_pass_is_refused(bench: Bench, source: Path, destination: Path) -> None:
    (source / "file").write_bytes(b"content")
    bench.run("push", source)
    bench.run("pull", destination)
    (destination / "written by the application").write_bytes(b"precious")
    bench.run("push", source, MOVER_PASS="2")
    with pytest.raises(ForeignContent, match="not as the earlier pass left it"):
        bench.run("pull", destination, MOVER_PASS="2")
    assert (destination / "written by the application").read_bytes() == b"precious"


@pytest.mark.parametrize("root_set", [True, False], ids=["ended", "lost-before-the-roots-time"])
def test_a_later_pass_that_had_ended_is_known_again(
    bench: Bench, source: Path, destination: Path, root_set: bool
) -> None:
    (source / "file").write_bytes(random_bytes(2 * MIB, 14))
    bench.run("push", source)
    bench.run("pull", destination)
    (source / "new").write_bytes(b"new")
    second = bench.run("push", source, MOVER_PASS="2")
    assert bench.run("pull", destination, MOVER_PASS="2")["digest"] == second["digest"]
    if not root_set:
        os.utime(destination)
    assert bench.run("pull", destination, MOVER_PASS="2")["digest"] == second["digest"]
    # Both are lost, and the push finds another tree by now.
    (source / "newer").write_bytes(b"newer")
    third = bench.run("push", source, MOVER_PASS="2")
    assert bench.run("pull", destination, MOVER_PASS="2")["digest"] == third["digest"] != second["digest"]
    assert_same(source, destination)


def test_files_without_write_permission_are_patched_by_their_owner(
    bench: Bench, source: Path, destination: Path
) -> None:
    large = source / "large"
    large.write_bytes(random_bytes(5 * MIB, 12))
    large.chmod(0o444)
    assert bench.process("push", source, privileged=False).status == 0
    assert bench.process("pull", destination, privileged=False).status == 0
    overwrite(large, MIB, b"changed")
    again = {"environment": {"MOVER_PASS": "2"}, "privileged": False}
    assert bench.process("push", source, **again).status == 0
    assert bench.process("pull", destination, **again).status == 0
    assert_same(source, destination)


def test_a_limit_on_bytes_per_second_is_kept(bench: Bench, source: Path, destination: Path) -> None:
    (source / "file").write_bytes(random_bytes(40 * MIB, 13))
    pushed = bench.run("push", source, MOVER_BYTES_PER_SECOND=str(20 * MIB))
    # The first pack goes at once; those after it wait for their turn.
    assert pushed["seconds"] > 1.2
    pulled = bench.run("pull", destination, MOVER_BYTES_PER_SECOND=str(20 * MIB))
    assert pulled["seconds"] > 1.2
    assert_same(source, destination)
