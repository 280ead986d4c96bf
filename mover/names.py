"""The names in a directory in order, however many there are.

Beyond some thousands they are kept sorted in compressed runs, and merged while they are taken: a directory with a
million files costs some megabytes and not hundreds, and so do folders in one another that have many each.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator

import zstandard

# So many are sorted at once.
_RUN = 50_000
# So many are unpacked of each run at once, and kept as they are when there are no more.
_PIECE = 2_000


def sorted_names(folder: bytes) -> Iterator[bytes]:
    """All names but `.` and `..`, by rising bytes."""
    runs: list[list[bytes]] = []
    names: list[bytes] = []
    with os.scandir(folder) as found:
        for each in found:
            names.append(each.name)
            if len(names) == _RUN:
                runs.append(_packed(names))
                names = []
    if not runs and len(names) <= _PIECE:
        names.sort()
        return iter(names)
    if names:
        runs.append(_packed(names))
    return heapq.merge(*(_unpacked(run) for run in runs))


def _packed(names: list[bytes]) -> list[bytes]:
    names.sort()
    packer = zstandard.ZstdCompressor(level=1)
    # No name contains a zero byte. What is compressed lies in as much memory as it might have needed, a copy does not.
    return [
        bytes(memoryview(packer.compress(b"\0".join(names[at : at + _PIECE])))) for at in range(0, len(names), _PIECE)
    ]


def _unpacked(run: list[bytes]) -> Iterator[bytes]:
    unpacker = zstandard.ZstdDecompressor()
    for piece in run:
        yield from unpacker.decompress(piece).split(b"\0")
