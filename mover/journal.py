"""The journal: numbered, sealed segments of records, each bound to the one before.

A reader may follow it while it grows.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import zstandard
from blake3 import blake3

from mover.crypto import DIGEST_BYTES, NotAuthentic, VolumeKeys
from mover.entries import DIRECTORY, FILE, VOID, Entry, Record, decode_bytes, from_record
from mover.errors import PUSH_ANEW, IntegrityError
from mover.objectstore import ObjectStore

FORMAT = 1
MAGIC = b"KMJRNL1\n"
MANIFEST_MAGIC = b"KMMANI1\n"
HEAD = "h"
CONTINUE = "c"
END = "e"
LEAVE = "u"
CLOSE = "z"

# Segments fetched at once where a journal is read from its begin.
_AHEAD = 4
_LONGEST_SEGMENT = 64 << 20
_NOTHING_BEFORE = bytes(DIGEST_BYTES)
_RUN = re.compile(r"^\d{6}-[0-9a-f]{16}$")


def new_run_name(existing: list[str]) -> str:
    """A name that sorts after every existing run's and that no other process will choose."""
    newest = int(existing[-1].split("-")[0]) if existing else 0
    return f"{newest + 1:06d}-{os.urandom(8).hex()}"


def list_runs(store: ObjectStore) -> list[str]:
    """The names of all runs in the bucket, oldest first."""
    found = (name.removeprefix("journal/") for name in store.list("journal/", folders=True))
    return sorted(name for name in found if _RUN.match(name))


def segment_name(run: str, number: int) -> str:
    """The object that holds a segment."""
    return f"journal/{run}/{number:08d}"


def pack_name(run: str, number: int) -> str:
    """The object that holds a pack."""
    return f"packs/{run}/{number:08d}"


def manifest_name(run: str) -> str:
    """The object that says that a run is closed, and with what result."""
    return f"manifest/{run}"


def read_manifest(store: ObjectStore, keys: VolumeKeys, run: str, volume: str) -> dict[str, Any] | None:
    """What the closing record of `run` says; None while the run is not closed."""
    # A second look tells damage on the way from damage in the store.
    for _ in range(3):
        body = store.get(manifest_name(run))
        if body is None:
            return None
        if body.startswith(MANIFEST_MAGIC):
            with contextlib.suppress(NotAuthentic):
                manifest: dict[str, Any] = json.loads(keys.run(run).open_manifest(body[len(MANIFEST_MAGIC) :]))
                return manifest
    raise IntegrityError(
        f"The manifest {manifest_name(run)} of volume {volume} cannot be authenticated: it was altered in the store "
        f"or on the way, or sealed with another key. {PUSH_ANEW} If the data key is wrong, correct it.",
        code="manifest-not-authentic",
    )


class JournalWriter:
    """Appends segments to a new run's journal."""

    def __init__(self, store: ObjectStore, keys: VolumeKeys, run: str) -> None:
        self._store = store
        self._keys = keys.run(run)
        self._run = run
        self._number = 0
        self._previous = _NOTHING_BEFORE

    def append(self, head: dict[str, Any], records: list[Record]) -> int:
        """Store the next segment; the number of bytes that went out."""
        self._number += 1
        plain = json.dumps([[HEAD, head], *records], separators=(",", ":")).encode()
        packed = zstandard.ZstdCompressor(level=3).compress(plain)
        body = MAGIC + self._keys.seal_segment(packed, number=self._number, previous=self._previous)
        self._store.put(segment_name(self._run, self._number), body)
        self._previous = blake3(body).digest()
        return len(body)

    def close(self, close: dict[str, Any]) -> int:
        """Store the closing record, as the journal's last segment and as the manifest; the bytes that went out."""
        sent = self.append({}, [[CLOSE, close]])
        body = MANIFEST_MAGIC + self._keys.seal_manifest(json.dumps(close).encode())
        self._store.put(manifest_name(self._run), body)
        return sent + len(body)


class JournalReader:
    """Reads one run's segments in order, and refuses any that is not the one which the pusher wrote there."""

    def __init__(self, store: ObjectStore, keys: VolumeKeys, run: str, volume: str, *, twice: bool = False) -> None:
        """With `twice`, another reader of the same run follows."""
        self.run = run
        self.number = 0
        self.head: dict[str, Any] = {}
        self.close: dict[str, Any] | None = None
        self._store = store
        self._keys = keys.run(run)
        self._volume = volume
        self._previous = _NOTHING_BEFORE
        self._twice = twice

    def next(self, body: bytes | None = None) -> list[Record] | None:
        """The next segment's records; None when it is not there (yet), or the journal is closed.

        `body` is its object if that was fetched already.
        """
        if self.close is not None:
            return None
        number = self.number + 1
        name = segment_name(self.run, number)
        # A second look tells damage on the way from damage in the store.
        for attempt in (1, 2, 3):
            body = body or self._store.get(name)
            if body is None:
                return None
            records = self._open(body, number)
            if records is not None:
                if self._twice:
                    self._store.keep(name, body)
                return self._take(records, body)
            body = None
            if attempt == 3:
                raise IntegrityError(
                    f"Journal segment {name} of volume {self._volume} cannot be authenticated: it was altered in "
                    f"the store or on the way, it does not follow segment {number - 1}, or it was sealed with another "
                    f"key. Nothing of it was used. {PUSH_ANEW} If the data key is wrong, correct it.",
                    code="journal-not-authentic",
                )
        return None

    def _take(self, records: list[Record], body: bytes) -> list[Record]:
        self.number += 1
        self._previous = blake3(body).digest()
        head = records.pop(0)[1]
        if self.number == 1:
            if head.get("format") != FORMAT:
                raise IntegrityError(
                    f"The journal of volume {self._volume} has format {head.get('format')}, and this mover reads "
                    f"{FORMAT}. Use the same version of the mover on both sides.",
                    code="format-unknown",
                )
            self.head = head
        else:
            self.head = {**self.head, **head}
        if records and records[-1][0] == CLOSE:
            self.close = records.pop()[1]
        return records

    def segments(self) -> Iterator[list[Record]]:
        """All segments that are there now, some fetched ahead."""
        with ThreadPoolExecutor(_AHEAD, thread_name_prefix="journal") as pool:
            ahead: deque[Future[bytes | None]] = deque()
            wanted = self.number + 1
            while True:
                while len(ahead) < _AHEAD:
                    ahead.append(pool.submit(self._store.get, segment_name(self.run, wanted)))
                    wanted += 1
                records = self.next(ahead.popleft().result())
                if records is None:
                    return
                yield records

    def _open(self, body: bytes, number: int) -> list[Record] | None:
        if not body.startswith(MAGIC):
            return None
        try:
            packed = self._keys.open_segment(body[len(MAGIC) :], number=number, previous=self._previous)
        except NotAuthentic:
            return None
        plain = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_LONGEST_SEGMENT)
        records: list[Record] = json.loads(plain)
        return records


def whole_entries(records: Iterator[Record]) -> Iterator[Entry | None]:
    """The tree's entries in canonical order, None where a directory ends; files have content and flags, no chunks."""
    open_file: Entry | None = None
    for record in records:
        kind = record[0]
        if kind == CONTINUE:
            continue
        if kind == LEAVE:
            yield None
        elif kind == END:
            if open_file is None:
                raise IntegrityError("The journal ends a file that it did not begin.")
            open_file.size, open_file.content, open_file.flags = record[1], decode_bytes(record[2]), record[3]
            if not open_file.flags & VOID:
                yield open_file
            open_file = None
        else:
            entry = from_record(record)
            entry.chunks = None
            if kind == FILE and entry.content is None:
                open_file = entry
            else:
                yield entry


class Cursor:
    """Walks through a run's journal beside a walk through the tree, which has the same order.

    Paths are tuples of names, whose order is the canonical one: a directory before what it holds, siblings by
    rising bytes.
    """

    def __init__(self, reader: JournalReader, segments: int | None = None) -> None:
        self.reader = reader
        # With `segments`, only so many are looked at.
        self._records = (record for segment in itertools.islice(reader.segments(), segments) for record in segment)
        self._folder: tuple[bytes, ...] = ()
        self._path: tuple[bytes, ...] | None = None
        self._entry: Entry | None = None
        self._items: list[Any] = []
        self._in_file = False
        self._advance()

    def find(self, path: tuple[bytes, ...], accept: Callable[[Entry], bool]) -> Entry | None:
        """The journal's entry at `path` that is acceptable, or None; paths must rise from call to call.

        A file that changed while it was read stands there several times in a row.
        """
        while self._entry is not None and self._path is not None and self._path <= path:
            if self._path == path and accept(self._entry):
                return self._entry
            self._advance()
        return None

    def chunks(self) -> Iterator[Any]:
        """The chunk items of the file found last; afterwards its `content` is set, unless the journal stops before."""
        entry = self._entry
        if entry is None or entry.kind != FILE:
            return
        items, self._items = self._items, []
        yield from items
        while self._in_file:
            record = next(self._records, None)
            if record is None:
                self._in_file = False
            elif record[0] == CONTINUE:
                yield from record[1]
            else:
                self._in_file = False
                entry.size, entry.content, entry.flags = record[1], decode_bytes(record[2]), record[3]

    def _advance(self) -> None:
        for _ in self.chunks():
            pass
        for record in self._records:
            if record[0] == LEAVE:
                self._folder = self._folder[:-1]
                continue
            entry = from_record(record)
            # The root has an empty name and is the empty path.
            self._path = (*self._folder, entry.name) if entry.name else ()
            self._entry = entry
            self._items = entry.chunks or []
            if entry.kind == DIRECTORY:
                self._folder = self._path
            self._in_file = entry.kind == FILE and entry.content is None
            return
        self._entry, self._path = None, None
