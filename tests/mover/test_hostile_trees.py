"""Trees that somebody made to break a mover: very deep, very wide, very many links, very long attributes."""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mover.conftest import Bench, finished

MIB = 1 << 20
MOST = 256 * MIB


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
    assert bench.run("verify", destination)["digest"] == pushed["digest"]
    os.rename(source / "d", source / "aside")
    again = bench.run("push", source, MOVER_PASS="2")
    assert bench.run("pull", destination, MOVER_PASS="2")["digest"] == again["digest"]
    assert os.listdir(destination) == ["aside"]
    os.rename(source / "aside", source.parent / "aside")
    (source / "aside").write_bytes(b"a file now")
    last = bench.run("push", source, MOVER_PASS="3")
    assert bench.run("pull", destination, MOVER_PASS="3")["digest"] == last["digest"]
    assert (destination / "aside").read_bytes() == b"a file now"
