"""Later pushes of the same volume: what did not change stays where it is."""

from __future__ import annotations

import os
from pathlib import Path

from mover.blocks import CHUNK_BYTES
from tests.mover.conftest import Bench
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
