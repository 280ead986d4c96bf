"""Digests of a file's parts, so that whoever compares two copies can say where in a large one they differ.

A part is as many chunks as it takes for a file to have no more parts than can be told; the same for files of one size.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from blake3 import blake3

from mover.blocks import CHUNK_BYTES, ContentDigest, is_zero_chunk
from mover.crypto import VolumeKeys

# Of a device, which is alone in its volume: of 8 GiB or less each chunk is a part, of 1 TiB it is 16 MiB.
MOST_OF_A_DEVICE = 65_536
# Of each of up to some ten thousand files, whose lines have to fit into a container's log.
MOST_OF_A_FILE = 32
WIDTH = 8
# So many to a line: container runtimes cut lines beyond 16 KiB.
_PER_LINE = 1024


class Parts(ContentDigest):
    """A content digest that notes the digests of the parts on its way."""

    def __init__(self, keys: VolumeKeys, size: int, most: int) -> None:
        super().__init__(keys)
        self._keys = keys
        chunks = -(-size // CHUNK_BYTES)
        self._per_part = 1
        while chunks > most * self._per_part:
            self._per_part *= 2
        self._part = blake3(key=keys.content_key)
        self._filled = 0
        self._sums = bytearray()

    def add(self, digest: bytes) -> None:
        """The next chunk, by its digest."""
        super().add(digest)
        self._take(b"Z" if is_zero_chunk(self._keys, digest) else b"D" + digest, 1)

    def add_zeros(self, chunks: int) -> None:
        """The next full chunks hold nothing but zeros."""
        super().add_zeros(chunks)
        while chunks:
            fitting = min(chunks, self._per_part - self._filled)
            self._take(b"Z" * fitting, fitting)
            chunks -= fitting

    def _take(self, told: bytes, chunks: int) -> None:
        self._part.update(told)
        self._filled += chunks
        if self._filled == self._per_part:
            self._close()

    def _close(self) -> None:
        self._sums += self._part.digest(WIDTH)
        self._part = blake3(key=self._keys.content_key)
        self._filled = 0

    def lines(self, entry: str) -> Iterator[dict[str, Any]]:
        """The fields of the lines that tell the parts of the entry of this id; none where there is but one part."""
        if self._filled:
            self._close()
        if len(self._sums) <= WIDTH:
            return
        for first in range(0, len(self._sums) // WIDTH, _PER_LINE):
            told = self._sums[first * WIDTH : (first + _PER_LINE) * WIDTH]
            yield {
                "id": entry,
                "first": first,
                "length": self._per_part * CHUNK_BYTES,
                "sums": base64.b64encode(told).decode(),
            }
