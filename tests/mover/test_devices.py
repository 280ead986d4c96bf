"""Raw block volumes. A regular file stands for the device, as it does behind a loop device."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mover.blocks import CHUNK_BYTES
from mover.errors import DestinationRefused, IntegrityError, NoSpace, UsageError
from tests.mover.conftest import Bench, finished
from tests.mover.trees import random_bytes

MIB = 1 << 20
BLOCK = {"MOVER_VOLUME_MODE": "Block"}


def device(path: Path, *, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def write(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    made = device(tmp_path / "disk", size=64 * MIB)
    write(made, 0, random_bytes(5 * MIB + 300, 1))
    write(made, 40 * MIB, random_bytes(MIB, 2))
    return made


def test_a_device_arrives_whole_and_zeros_are_not_sent(bench: Bench, disk: Path, tmp_path: Path) -> None:
    # What an earlier user left on the destination has to go, also where the source has zeros.
    target = tmp_path / "target"
    target.write_bytes(random_bytes(70 * MIB, 3))
    pushed = bench.run("push", disk, **BLOCK)
    assert pushed["bytes"] == 64 * MIB
    assert pushed["bytes_sent"] < 7 * MIB
    pulled = bench.run("pull", target, **BLOCK)
    assert pulled["digest"] == pushed["digest"]
    assert target.read_bytes()[: 64 * MIB] == disk.read_bytes()
    assert target.stat().st_size == 70 * MIB
    assert bench.run("verify", target, **BLOCK)["digest"] == pushed["digest"]


def test_a_later_pass_sends_and_writes_what_changed(bench: Bench, disk: Path, tmp_path: Path) -> None:
    target = device(tmp_path / "target", size=64 * MIB)
    bench.run("push", disk, **BLOCK)
    bench.run("pull", target, **BLOCK)
    write(disk, 3 * MIB, b"changed")
    write(disk, 40 * MIB, bytes(MIB))
    again = bench.run("push", disk, MOVER_PASS="2", **BLOCK)
    assert again["bytes_sent"] < 2 * CHUNK_BYTES
    pulled = bench.run("pull", target, MOVER_PASS="2", **BLOCK)
    assert pulled["digest"] == again["digest"]
    assert pulled["bytes_sent"] < 2 * CHUNK_BYTES
    assert target.read_bytes() == disk.read_bytes()


def test_both_sides_at_once_and_a_killed_pull_goes_on(bench: Bench, disk: Path, tmp_path: Path) -> None:
    target = device(tmp_path / "target", size=64 * MIB)
    pull = bench.start("pull", target, environment=BLOCK)
    assert bench.process("push", disk, environment=BLOCK).status == 0
    pull.kill()
    pull.communicate()
    outcome = finished(bench.start("pull", target, environment=BLOCK))
    assert outcome.status == 0, outcome
    assert target.read_bytes() == disk.read_bytes()


def test_a_device_that_is_too_small_is_refused(bench: Bench, disk: Path, tmp_path: Path) -> None:
    bench.run("push", disk, **BLOCK)
    with pytest.raises(NoSpace, match=r"has 33554432 bytes, and the source has 67108864"):
        bench.run("pull", device(tmp_path / "target", size=32 * MIB), **BLOCK)


def test_a_device_that_was_written_is_not_what_was_pushed(bench: Bench, disk: Path, tmp_path: Path) -> None:
    target = device(tmp_path / "target", size=64 * MIB)
    bench.run("push", disk, **BLOCK)
    bench.run("pull", target, **BLOCK)
    write(target, 20 * MIB, b"x")
    with pytest.raises(IntegrityError, match="has other content"):
        bench.run("verify", target, **BLOCK)


@pytest.mark.parametrize("block", ["source", "destination"])
def test_devices_and_file_systems_are_not_mixed(bench: Bench, disk: Path, tmp_path: Path, block: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    if block == "source":
        bench.run("push", disk, **BLOCK)
        with pytest.raises(DestinationRefused, match="is a device and the destination is a file system"):
            bench.run("pull", tree)
        assert [each for each in os.listdir(tree) if not each.startswith(".")] == []
    else:
        (tree / "device").write_bytes(b"a file by this name")
        bench.run("push", tree)
        before = disk.read_bytes()
        with pytest.raises(DestinationRefused, match="is a file system and the destination is a device"):
            bench.run("pull", disk, **BLOCK)
        assert disk.read_bytes() == before


def test_a_directory_is_no_device(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a device"):
        bench.run("push", tmp_path, **BLOCK)
