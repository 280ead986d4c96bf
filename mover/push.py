"""Push: walk the source in canonical order, take over what earlier runs already stored, and send the rest."""

from __future__ import annotations

import functools
import os
import stat
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from mover.bases import Base, open_bases
from mover.blocks import BLOCK_BYTES, CHUNK_BYTES, HOLE, ZEROS
from mover.crypto import VolumeKeys
from mover.device import volume_at
from mover.entries import Entry, readable, weight
from mover.errors import IntegrityError, SourceUnreadable
from mover.journal import FORMAT, list_runs, new_run_name
from mover.largefile import LargeFile
from mover.largereading import LargeReading
from mover.links import LinkTable
from mover.objectstore import ObjectStore
from mover.outlet import Outlet
from mover.pace import Pace
from mover.parts import Part
from mover.reading import SourceReader
from mover.report import Reporter
from mover.settings import Settings
from mover.smallfiles import BatchItem, FirstLinkVanished, SmallFile, read_batch
from mover.steady import unchanged
from mover.tree import Unread, Volume
from mover.trouble import Trouble
from mover.unchanged import closed_and_unchanged, is_file, same_file
from mover.walking import count, walk

_BATCH_BYTES = BLOCK_BYTES
_BATCH_ITEMS = 1024
# What no earlier run knows.
_NEW: tuple[None, None] = (None, None)
_WHOLE_ATTEMPTS = 5


def push(settings: Settings, path: str, store: ObjectStore, reporter: Reporter) -> dict[str, Any]:
    """Bring the tree at `path` into the object store; the fields of the result line."""
    began = time.monotonic()
    keys = VolumeKeys(settings.data_key, settings.prefix)
    volume = volume_at(path, block=settings.block)
    _require_directory(volume, settings.volume)
    counters = reporter.counters
    counters.phase = "scan"
    close = closed_and_unchanged(settings, volume, store, keys)
    if close is None:
        counters.phase = "push"
        close = _push_until_links_hold(settings, volume, store, keys, reporter)
    else:
        counters.files_done = counters.files_total = close["files"]
        counters.bytes_done = counters.bytes_total = close["bytes"]
    return {
        "run": close["run"],
        "digest": close["digest"],
        "bytes": close["bytes"],
        "files": close["files"],
        "bytes_sent": counters.bytes_sent,
        "seconds": round(time.monotonic() - began, 3),
        "unkept": close["unkept"],
        "changed": close["changed"],
    }


def _push_until_links_hold(
    settings: Settings, volume: Volume, store: ObjectStore, keys: VolumeKeys, reporter: Reporter
) -> dict[str, Any]:
    """What the closing record says, and of which run; a new one begins when a hard link's first name vanished."""
    for _ in range(_WHOLE_ATTEMPTS):
        try:
            return _Push(settings, volume, store, keys, reporter, list_runs(store)).run()
        except FirstLinkVanished as error:
            vanished = error
            reporter.counters.restart()
    raise SourceUnreadable(
        f"{vanished} on volume {settings.volume} and other hard links keep vanishing while they are read. "
        "Push again when the application is quiet."
    )


class _Push:
    """One run of a push."""

    def __init__(
        self,
        settings: Settings,
        volume: Volume,
        store: ObjectStore,
        keys: VolumeKeys,
        reporter: Reporter,
        runs: list[str],
    ) -> None:
        self._settings = settings
        self._volume = volume
        self._keys = keys
        self._reporter = reporter
        self._counters = reporter.counters
        self._skipped = Trouble()
        volume.tell_unread = self._leave_attributes
        run = new_run_name(runs)
        self._run, self._packs = run, [run]
        self._bases, pass_number = open_bases(settings, store, keys, reporter, runs, self._packs)
        head = {"format": FORMAT, "run": run, "pass": pass_number, "chunk": CHUNK_BYTES, "packs": self._packs}
        head["device"] = volume.is_device
        self._outlet = Outlet(store, keys, run, head, self._counters, settings.workers, Pace(settings.bytes_per_second))
        self._reader = SourceReader(volume, keys, run, settings.volume)
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="read")
        self._large = LargeReading(self._reader, self._pool, settings.workers, self._outlet.take)
        self._links = LinkTable()
        self._batch: list[BatchItem] = []
        self._batch_bytes = 0

    def run(self) -> dict[str, Any]:
        """Send everything and close the journal; what the closing record says, and of which run."""
        stop_counting = threading.Event()
        counting = threading.Thread(target=count, args=(self._volume, self._counters, stop_counting), daemon=True)
        counting.start()
        try:
            self._outlet.start()
            self._walk()
            self._flush()
            close = self._outlet.finish(
                lambda: {
                    "unkept": self._skipped.listed(),
                    "changed": self._reader.changed.listed(),
                    "finished": time.time(),
                }
            )
        except BaseException:
            self._outlet.abandon()
            raise
        finally:
            stop_counting.set()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._links.close()
        for each in close["changed"]:
            self._reporter.warning(
                each["what"],
                each["example"],
                f"{each['count']} files changed or vanished while they were read, {each['example']} for one. "
                "Push again when the application is quiet.",
            )
        return {**close, "run": self._run}

    def _walk(self) -> None:
        for step in walk(self._volume, self._links, self._skip, self._settings.volume):
            if step is None:
                self._add(None)
                continue
            path, parts, status, entry = step
            if entry is not None:
                self._add(entry, weight(entry))
                continue
            base, earlier = self._in_bases(parts, status) if self._bases else _NEW
            if base is not None and earlier is not None and same_file(status, earlier):
                self._take_over(path, status, base, earlier)
            elif status.st_size <= BLOCK_BYTES:
                self._add(SmallFile(path, parts[-1], status), status.st_size)
            else:
                self._send_large(path, linked=status.st_nlink > 1, base=base)

    def _skip(self, what: str, path: bytes) -> None:
        if what == "socket":
            self._skipped.add("socket", path)
            self._reporter.warning("socket-skipped", readable(path), "A socket cannot be carried over; it was skipped.")
        else:
            self._reader.changed.add(what, path)

    def _leave_attributes(self, path: bytes, unread: Unread) -> None:
        for name, number in unread:
            # The namespace, as what a puller cannot keep is told.
            self._skipped.add(f"xattr:{name.partition('.')[0]}" if name else "xattr", path)
            what = f"The attribute {readable(os.fsencode(name))}" if name else "What attributes it has"
            self._reporter.warning(
                "xattr-unread",
                readable(path),
                f"{what} cannot be read, and was not carried over: {os.strerror(number)}.",
            )

    def _add(self, item: BatchItem, size: int = 0) -> None:
        self._batch.append(item)
        self._batch_bytes += size
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_ITEMS:
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            batch, self._batch, self._batch_bytes = self._batch, [], 0
            reading = self._pool.submit(read_batch, self._reader, batch)
            self._outlet.put(functools.partial(self._take_batch, reading))

    def _take_batch(self, reading: Future[tuple[Part, Sequence[BatchItem]]]) -> Part:
        """A batch; what was too much for it is read right here, which is rare."""
        part, left = reading.result()
        while left:
            self._outlet.take(part)
            part, left = read_batch(self._reader, left)
        return part

    def _in_bases(self, parts: tuple[bytes, ...], status: os.stat_result) -> tuple[Base | None, Entry | None]:
        """The file as an earlier run told of it: just as it is now if any did so, else the newest."""
        found: tuple[Base | None, Entry | None] = None, None
        for base in self._bases:
            try:
                # Every base moves on, found or not, so that all stay beside the walk.
                entry = base.cursor.find(parts, is_file)
            except IntegrityError as error:
                self._reporter.warning("earlier-run-unusable", base.cursor.reader.run, error.message)
                self._bases = [each for each in self._bases if each is not base]
                continue
            if entry is None:
                continue
            if found[1] is None or (same_file(status, entry) and not same_file(status, found[1])):
                found = base, entry
        return found

    def _take_over(self, path: bytes, status: os.stat_result, base: Base, entry: Entry) -> None:
        """Tell again what an earlier run's journal told of a file that did not change since."""
        if entry.content is not None:
            self._add(replace(entry, chunks=[base.shifted(item) for item in entry.chunks or []]), weight(entry))
            return
        self._flush()
        large = LargeFile(self._keys, path, entry)
        self._outlet.put(large.begin)
        pending: list[Any] = []
        count = 0
        for item in base.cursor.chunks():
            pending.append(base.shifted(item))
            count += item[1] if item[0] in (HOLE, ZEROS) else 1
            if len(pending) >= _BATCH_ITEMS:
                self._outlet.put(functools.partial(large.take_items, pending))
                pending = []
        self._outlet.put(functools.partial(large.take_items, pending))
        if entry.content is not None and not entry.flags:
            self._outlet.put(functools.partial(large.end, entry.size, 0))
            return
        opened = self._reader.open(path, directly=True)
        if opened is None or entry.flags or not unchanged(status, opened[1]):
            if opened is not None:
                os.close(opened[0])
            self._outlet.put(large.void)
            self._send_large(path, linked=status.st_nlink > 1, base=None)
            return
        # The earlier run ended within this file: go on where its journal stops.
        large.handle, large.before = opened
        self._large.chunks(large, count, self._outlet.put)
        self._outlet.put(functools.partial(self._large.end, large, 1))

    def _send_large(self, path: bytes, *, linked: bool, base: Base | None) -> None:
        """Read a large file; of its chunks only those go out that `base`, whose cursor is at it, has otherwise."""
        self._flush()
        large = self._large.open(path)
        if large is None:
            if linked:
                raise FirstLinkVanished(readable(path))
            self._reader.changed.add("vanished", path)
            return
        self._outlet.put(large.begin)
        self._large.chunks(large, 0, self._outlet.put, base)
        self._outlet.put(functools.partial(self._large.end, large, 1))


def _require_directory(volume: Volume, label: str) -> None:
    try:
        status = volume.status(b"")
    except OSError as error:
        raise SourceUnreadable(
            f"The source volume {label} is not there: {os.strerror(error.errno or 0)}. Check the mount path."
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise SourceUnreadable(f"The source volume {label} is not a directory. Check the mount path.")
