"""A large file on its way into the journal, chunk by chunk."""

from __future__ import annotations

import os
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from mover.blocks import CHUNK_BYTES, HOLE, ZEROS, ContentDigest, zero_tail_digest
from mover.crypto import VolumeKeys
from mover.entries import ITEM_BYTES, UNREAD, VOID, Entry, Record, decode_bytes, encode_bytes, to_record, weight
from mover.journal import CONTINUE, END
from mover.parts import Part, StretchRead
from mover.tree import Unread


class LargeFile:
    """A file that is told chunk by chunk. Its methods run in canonical order, in the outlet's thread."""

    def __init__(self, keys: VolumeKeys, path: bytes, entry: Entry) -> None:
        self.path = path
        self.handle = -1
        self.before: os.stat_result | None = None
        self.short = False
        self.fresh = False
        self.unread: Unread = ()
        self.got = 0
        self._keys = keys
        self._entry = replace(entry, content=None, chunks=None)
        self._size = entry.size
        self._content = ContentDigest(keys)

    def begin(self) -> Part:
        """Its metadata."""
        return Part(records=[to_record(self._entry)], weight=weight(self._entry))

    def take_read(self, read: Future[StretchRead], expected: int) -> Part:
        """Chunks that were read; what follows one that came out short is dropped."""
        stretch = read.result()
        if self.short or stretch.length == 0:
            self.short = True
            return Part()
        self.short = stretch.length < expected
        self.got += stretch.length
        for digest in stretch.digests:
            self._content.add(digest)
        weighs = ITEM_BYTES * len(stretch.items)
        part = Part(records=[[CONTINUE, stretch.items]], bytes=stretch.length, weight=weighs)
        if stretch.block is not None:
            part.blocks, part.located = [stretch.block], [stretch.located]
        return part

    def take_items(self, items: list[Any]) -> Part:
        """Chunks that need no reading: holes, and what an earlier run stored."""
        if self.short or not items:
            return Part()
        begin = self.got
        for item in items:
            if item[0] in (HOLE, ZEROS):
                end = min(self.got + item[1] * CHUNK_BYTES, self._size)
                full, tail = divmod(end - self.got, CHUNK_BYTES)
                self._content.add_zeros(full)
                if tail:
                    self._content.add(zero_tail_digest(self._keys, tail))
                self.got = end
            else:
                self._content.add(decode_bytes(item[0]))
                self.got = min(self.got + CHUNK_BYTES, self._size)
        return Part(records=[[CONTINUE, items]], bytes=self.got - begin, weight=ITEM_BYTES * len(items))

    def end(self, size: int, flags: int) -> Part:
        """The file is complete."""
        flags |= UNREAD if self.unread else 0
        self._entry.size, self._entry.flags = size, flags
        self._entry.content = self._content.finish(size)
        record: Record = [END, size, encode_bytes(self._entry.content), flags]
        return Part(records=[record], entries=[self._entry], files=1)

    def void(self) -> Part:
        """What was told of the file does not count; it may follow anew."""
        return Part(records=[[END, 0, encode_bytes(bytes(32)), VOID]], bytes=-self.got)
