"""Trees that somebody made to break a mover: very deep, very wide, very many links, very long attributes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mover.conftest import Bench, measured
from tests.mover.trees import assert_same

MOST = 256 << 20


def deep(root: Path, levels: int, name: bytes = b"d") -> None:
    """Folders in one another, with a file in the innermost."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open(b"at the bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_folders_deeper_than_a_program_may_recurse_come_and_go(bench: Bench, source: Path, destination: Path) -> None:
    deep(source, 1100)
    pushed = bench.run("push", source)
    assert bench.run("pull", destination)["digest"] == pushed["digest"]
    os.rename(source / "d", source.parent / "aside")
    (source / "d").write_bytes(b"a file now")
    again = bench.run("push", source, MOVER_PASS="2")
    assert bench.run("pull", destination, MOVER_PASS="2")["digest"] == again["digest"]
    assert (destination / "d").read_bytes() == b"a file now"


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder of a file system that takes long attributes and any number of links."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def long_attributes(root: Path) -> None:
    for number in range(400):
        folder = root / f"folder {number}"
        folder.mkdir()
        (folder / "file").write_bytes(b"x")
        try:
            for of in (folder, folder / "file"):
                os.setxattr(of, "user.one", os.urandom(1000) * 60)
                os.setxattr(of, "user.two", os.urandom(1000) * 60)
        except OSError:
            pytest.skip("this file system has no long attributes")


def many_names_of_one_file(root: Path) -> None:
    (root / "first").write_bytes(b"x")
    for number in range(30_000):
        os.link(root / "first", root / f"name {number}")


def long_targets(root: Path) -> None:
    for number in range(15_000):
        os.symlink("t" * 4000 + str(number), root / f"link {number}")


def scattered_data(root: Path) -> None:
    with open(root / "huge", "wb") as file:
        file.truncate(1 << 40)
        for number in range(3000):
            file.seek(number << 28)
            file.write(b"x")


@pytest.mark.parametrize("make", [long_attributes, many_names_of_one_file, long_targets, scattered_data])
def test_memory_stays_within_bounds(bench: Bench, in_memory: Path, make: Callable[[Path], None]) -> None:
    source, destination = in_memory / "source", in_memory / "destination"
    source.mkdir()
    destination.mkdir()
    make(source)
    digests = set()
    for command, path in (("push", source), ("pull", destination), ("verify", destination)):
        said, peak = measured(command, path, {**bench.environment, "MOVER_WORKERS": "4"})
        assert peak < MOST, f"{command}: {peak >> 20} MiB"
        digests.add(said[-1]["digest"])
    assert len(digests) == 1
    if make is many_names_of_one_file:
        assert (destination / "first").stat().st_nlink == 30_001
    elif make is not scattered_data:
        assert_same(source, destination)
