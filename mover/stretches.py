"""How to read a large file: block by block, past its holes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from mover.blocks import BLOCK_BYTES, CHUNK_BYTES
from mover.tree import data_ranges, has_holes


@dataclass(slots=True)
class Stretch:
    """So many chunks from `index` on: holes, or to be read at once; `ranges` where one is allocated in part."""

    index: int
    count: int
    hole: bool = False
    ranges: list[tuple[int, int]] | None = None


def reading_plan(handle: int, status: os.stat_result, first: int) -> Iterator[Stretch]:
    """How to read a file from chunk `first` on, at most a block at once."""
    together = BLOCK_BYTES // CHUNK_BYTES
    if not has_holes(handle, status.st_size):
        total = -(-status.st_size // CHUNK_BYTES)
        for index in range(first, total, together):
            yield Stretch(index, min(together, total - index))
        return
    begun: Stretch | None = None
    for index, holes, ranges in _sparse_chunks(handle, status.st_size, first):
        plain = not holes and ranges is None
        if begun is not None and plain and begun.count < together:
            begun.count += 1
            continue
        if begun is not None:
            yield begun
        begun = Stretch(index, 1) if plain else None
        if not plain:
            yield Stretch(index, holes or 1, hole=bool(holes), ranges=ranges)
    if begun is not None:
        yield begun


def _sparse_chunks(handle: int, size: int, first: int) -> Iterator[tuple[int, int, list[tuple[int, int]] | None]]:
    """The chunks of a file with holes: (index, how many holes, allocated ranges of the chunk to read)."""
    total = -(-size // CHUNK_BYTES)
    index = first
    ranges: list[tuple[int, int]] = []
    for begin, end in data_ranges(handle, size):
        while begin < end:
            at = begin // CHUNK_BYTES
            if at > index and ranges:
                yield index, 0, _or_whole(ranges, index, size)
                ranges, index = [], index + 1
            if at > index:
                yield index, at - index, None
                index = at
            stop = min(end, (at + 1) * CHUNK_BYTES)
            if at == index:
                ranges.append((begin - at * CHUNK_BYTES, stop - at * CHUNK_BYTES))
            begin = stop
    if ranges:
        yield index, 0, _or_whole(ranges, index, size)
        index += 1
    if index < total:
        yield index, total - index, None


def _or_whole(ranges: list[tuple[int, int]], index: int, size: int) -> list[tuple[int, int]] | None:
    return None if ranges == [(0, min(CHUNK_BYTES, size - index * CHUNK_BYTES))] else ranges
