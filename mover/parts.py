"""What reading the source yields: stretches of the journal, with the blocks that they speak of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mover.blocks import SealedBlock
from mover.entries import Entry, Record, encode_bytes

# From this weight on a part, or a segment of the journal, takes nothing more.
HEAVY_BYTES = 1 << 20


@dataclass(slots=True)
class Part:
    """A stretch of the journal with the blocks that it brings along. Chunk items of `located[i]` lie in `blocks[i]`.

    `weight` is about how many bytes its records take.
    """

    records: list[Record] = field(default_factory=list)
    entries: list[Entry | None] = field(default_factory=list)
    blocks: list[SealedBlock] = field(default_factory=list)
    located: list[list[list[Any]]] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    weight: int = 0


@dataclass(slots=True)
class StretchRead:
    """Consecutive chunks of a large file: their digests, items and bytes; a block with those that are new."""

    digests: list[bytes]
    items: list[list[Any]]
    length: int
    block: SealedBlock | None = None
    located: list[list[Any]] = field(default_factory=list)


def chunk_item(
    digest: bytes, block: SealedBlock, inner: int, length: int, ranges: list[tuple[int, int]] | None
) -> list[Any]:
    """The journal's item of a chunk, its pack and offset there still to be set."""
    item = [
        encode_bytes(digest),
        0,
        None,
        None,
        len(block.data),
        block.plain_length,
        block.codec,
        block.number,
        inner,
        length,
    ]
    if ranges is not None:
        item.append([[low, high - low] for low, high in ranges])
    return item
