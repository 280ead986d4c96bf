"""A file's content digest, read from the disk: every byte, whatever an earlier run said of it."""

from __future__ import annotations

import os

from mover import direct
from mover.blocks import BLOCK_BYTES, CHUNK_BYTES, ContentDigest, zero_tail_digest
from mover.buffers import kept
from mover.crypto import VolumeKeys
from mover.reading import reading_plan
from mover.report import Counters


def read_content(handle: int, status: os.stat_result, size: int, keys: VolumeKeys, counters: Counters) -> bytes:
    """The content digest of the first `size` bytes of an open file; raises OSError. Holes are not read."""
    content = ContentDigest(keys)
    for stretch in reading_plan(handle, status, 0):
        begin, length = stretch.index * CHUNK_BYTES, stretch.count * CHUNK_BYTES
        if stretch.hole:
            full, tail = divmod(min(length, size - begin), CHUNK_BYTES)
            content.add_zeros(full)
            if tail:
                content.add(zero_tail_digest(keys, tail))
            counters.add(bytes_done=full * CHUNK_BYTES + tail)
            continue
        # Reading a hole yields zeros, so ranges within a chunk need no care here.
        room = kept("read", BLOCK_BYTES)
        data = room[: direct.read_into(handle, room, min(length, size - begin), begin)]
        for at in range(0, len(data), CHUNK_BYTES):
            content.add(keys.chunk_digest(data[at : at + CHUNK_BYTES]))
        counters.add(bytes_done=len(data))
    return content.finish(size)
