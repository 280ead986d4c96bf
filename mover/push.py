"""Push: walk the source in canonical order, take over what earlier runs already stored, and send the rest."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from mover.blocks import BLOCK_BYTES, CHUNK_BYTES, HOLE, ZEROS, ContentDigest, zero_tail_digest
from mover.crypto import VolumeKeys
from mover.device import volume_at
from mover.entries import (
    FILE,
    HARD_LINK,
    UNSTABLE,
    VOID,
    Entry,
    Record,
    decode_bytes,
    encode_bytes,
    entry_equal,
    join,
    readable,
    to_record,
)
from mover.errors import IntegrityError, SourceUnreadable
from mover.journal import CONTINUE, END, FORMAT, Cursor, JournalReader, list_runs, new_run_name, read_manifest
from mover.links import LinkTable
from mover.objectstore import ObjectStore
from mover.outlet import Outlet
from mover.pace import Pace
from mover.reading import (
    BatchItem,
    FirstLinkVanished,
    Part,
    SmallFile,
    SourceReader,
    StretchRead,
    Trouble,
    reading_plan,
    settled,
    unchanged,
    written_just_now,
)
from mover.report import Counters, Reporter
from mover.settings import Settings
from mover.tree import Volume, entry_of

_BATCH_BYTES = BLOCK_BYTES
_BATCH_ITEMS = 1024
_MOST_BASES = 4
_LARGE_ATTEMPTS = 3
_WHOLE_ATTEMPTS = 5


def push(settings: Settings, path: str, store: ObjectStore, reporter: Reporter) -> dict[str, Any]:
    """Bring the tree at `path` into the object store; the fields of the result line."""
    began = time.monotonic()
    keys = VolumeKeys(settings.data_key, settings.prefix)
    volume = volume_at(path, block=settings.block)
    _require_directory(volume, settings.volume)
    counters = reporter.counters
    counters.phase = "scan"
    close = _closed_and_unchanged(settings, volume, store, keys)
    if close is None:
        counters.phase = "push"
        close = _push_until_links_hold(settings, volume, store, keys, reporter)
    else:
        counters.files_done = counters.files_total = close["files"]
        counters.bytes_done = counters.bytes_total = close["bytes"]
    return {
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
    """What the closing record says; begins a new run when a hard link's first name vanished while it was read."""
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
        run = new_run_name(runs)
        self._packs = [run]
        self._bases, pass_number = self._open_bases(store, runs)
        head = {"format": FORMAT, "run": run, "pass": pass_number, "chunk": CHUNK_BYTES, "packs": self._packs}
        head["device"] = volume.is_device
        self._outlet = Outlet(store, keys, run, head, self._counters, settings.workers, Pace(settings.bytes_per_second))
        self._reader = SourceReader(volume, keys, run, settings.volume)
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="read")
        self._links = LinkTable()
        self._batch: list[BatchItem] = []
        self._batch_bytes = 0

    def run(self) -> dict[str, Any]:
        """Send everything and close the journal; what the closing record says."""
        stop_counting = threading.Event()
        counting = threading.Thread(target=_count, args=(self._volume, self._counters, stop_counting), daemon=True)
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
        return close

    def _open_bases(self, store: ObjectStore, runs: list[str]) -> tuple[list[_Base], int]:
        """The newest runs' journals, back to the last closed one, and this run's pass."""
        bases: list[_Base] = []
        pass_number = max(1, self._settings.pass_number)
        for run in reversed(runs[-_MOST_BASES:]):
            reader = JournalReader(store, self._keys, run, self._settings.volume)
            try:
                closed = read_manifest(store, self._keys, run, self._settings.volume) is not None
                cursor = Cursor(reader)
            except IntegrityError as error:
                self._reporter.warning("earlier-run-unusable", run, f"Everything is read anew: {error.message}")
                continue
            if not reader.head:
                continue
            if not bases:
                pass_number = max(int(reader.head["pass"]) + (1 if closed else 0), self._settings.pass_number)
            shift: list[int] = []
            for name in reader.head["packs"]:
                if name not in self._packs:
                    self._packs.append(name)
                shift.append(self._packs.index(name))
            bases.append(_Base(cursor, shift))
            if closed:
                break
        return bases, pass_number

    def _walk(self) -> None:
        for step in walk(self._volume, self._links, self._skip):
            if step is None:
                self._add(None)
                continue
            path, parts, status, entry = step
            if entry.kind != FILE:
                self._add(entry)
                continue
            base, earlier = self._in_bases(parts, status)
            if base is not None and earlier is not None and same_file(status, earlier):
                self._take_over(path, status, base, earlier)
            elif status.st_size <= BLOCK_BYTES:
                folder, _, name = path.rpartition(b"/")
                self._add(SmallFile(folder, name, linked=status.st_nlink > 1), status.st_size)
            else:
                self._send_large(path, linked=status.st_nlink > 1, base=base)

    def _skip(self, what: str, path: bytes) -> None:
        if what == "socket":
            self._skipped.add("socket", path)
            self._reporter.warning("socket-skipped", readable(path), "A socket cannot be carried over; it was skipped.")
        else:
            self._reader.changed.add(what, path)

    def _add(self, item: BatchItem, size: int = 0) -> None:
        self._batch.append(item)
        self._batch_bytes += size
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_ITEMS:
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            batch, self._batch, self._batch_bytes = self._batch, [], 0
            self._outlet.put(self._pool.submit(self._reader.batch, batch).result)

    def _in_bases(self, parts: tuple[bytes, ...], status: os.stat_result) -> tuple[_Base | None, Entry | None]:
        """The file as an earlier run told of it: just as it is now if any did so, else the newest."""
        found: tuple[_Base | None, Entry | None] = None, None
        for base in self._bases:
            try:
                # Every base moves on, found or not, so that all stay beside the walk.
                entry = base.cursor.find(parts, _is_file)
            except IntegrityError as error:
                self._reporter.warning("earlier-run-unusable", base.cursor.reader.run, error.message)
                self._bases = [each for each in self._bases if each is not base]
                continue
            if entry is None:
                continue
            if found[1] is None or (same_file(status, entry) and not same_file(status, found[1])):
                found = base, entry
        return found

    def _take_over(self, path: bytes, status: os.stat_result, base: _Base, entry: Entry) -> None:
        """Tell again what an earlier run's journal told of a file that did not change since."""
        if entry.content is not None:
            self._add(replace(entry, chunks=[base.shifted(item) for item in entry.chunks or []]))
            return
        self._flush()
        large = _LargeFile(self._keys, path, entry)
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
        self._read_chunks(large, count, self._outlet.put)
        self._outlet.put(functools.partial(self._end_large, large, 1))

    def _send_large(self, path: bytes, *, linked: bool, base: _Base | None) -> None:
        """Read a large file; of its chunks only those go out that `base`, whose cursor is at it, has otherwise."""
        self._flush()
        large = self._open_large(path)
        if large is None:
            if linked:
                raise FirstLinkVanished(readable(path))
            self._reader.changed.add("vanished", path)
            return
        self._outlet.put(large.begin)
        self._read_chunks(large, 0, self._outlet.put, base)
        self._outlet.put(functools.partial(self._end_large, large, 1))

    def _open_large(self, path: bytes) -> _LargeFile | None:
        opened = self._reader.open(path, directly=True)
        if opened is None:
            return None
        handle, status = opened
        status = settled(handle, status)
        entry = entry_of(path.rpartition(b"/")[2], status)
        if entry is None:
            os.close(handle)
            return None
        entry.xattrs = self._volume.xattrs_of(handle)
        if written_just_now(status):
            # Should this run end within the file, the next must not go on in it.
            entry.flags = UNSTABLE
        large = _LargeFile(self._keys, path, entry)
        large.handle, large.before, large.fresh = handle, status, bool(entry.flags)
        return large

    def _read_chunks(
        self,
        large: _LargeFile,
        first: int,
        put: Callable[[Callable[[], Part]], None],
        base: _Base | None = None,
    ) -> None:
        assert large.before is not None
        size = large.before.st_size
        known = base.items() if base is not None else itertools.repeat(None)
        for stretch in reading_plan(large.handle, large.before, first):
            earlier = list(itertools.islice(known, stretch.count)) if not stretch.hole else []
            if stretch.hole:
                next(itertools.islice(known, stretch.count, stretch.count), None)
                put(functools.partial(large.take_items, [[HOLE, stretch.count]]))
                continue
            length = min(stretch.count * CHUNK_BYTES, size - stretch.index * CHUNK_BYTES)
            read = self._pool.submit(
                self._reader.stretch, large.handle, large.path, stretch.index, length, stretch.ranges, earlier
            )
            put(functools.partial(large.take_read, read, length))

    def _end_large(self, large: _LargeFile, attempt: int) -> Part:
        """The end of a large file; when it changed meanwhile it is read again right here, which is rare."""
        assert large.before is not None
        try:
            steady = not (large.short or large.fresh) and unchanged(large.before, self._volume.status_of(large.handle))
        finally:
            os.close(large.handle)
        if steady:
            return large.end(large.before.st_size, 0)
        again = self._open_large(large.path) if attempt < _LARGE_ATTEMPTS else None
        if again is None:
            self._reader.changed.add("changed-while-read", large.path)
            return large.end(large.got if large.short else large.before.st_size, UNSTABLE)
        parts = [large.void(), again.begin()]
        waiting: list[Callable[[], Part]] = []

        def put(step: Callable[[], Part]) -> None:
            waiting.append(step)
            if len(waiting) > self._settings.workers + 1:
                self._outlet.take(waiting.pop(0)())

        for part in parts:
            self._outlet.take(part)
        self._read_chunks(again, 0, put)
        for step in waiting:
            self._outlet.take(step())
        return self._end_large(again, attempt + 1)


@dataclass(slots=True)
class _Base:
    """An earlier run's journal, and where its list of runs lies in ours."""

    cursor: Cursor
    shift: list[int]

    def shifted(self, item: list[Any]) -> list[Any]:
        """A chunk item as our journal says it."""
        return item if item[0] in (HOLE, ZEROS) else [item[0], self.shift[item[1]], *item[2:]]

    def items(self) -> Iterator[list[Any] | None]:
        """The items of the file that the cursor is at, one for each chunk; None for zeros, holes and after the end."""
        for item in self.cursor.chunks():
            if item[0] in (HOLE, ZEROS):
                yield from itertools.repeat(None, item[1])
            else:
                yield self.shifted(item)
        yield from itertools.repeat(None)


class _LargeFile:
    """A file that is told chunk by chunk. Its methods run in canonical order, in the outlet's thread."""

    def __init__(self, keys: VolumeKeys, path: bytes, entry: Entry) -> None:
        self.path = path
        self.handle = -1
        self.before: os.stat_result | None = None
        self.short = False
        self.fresh = False
        self.got = 0
        self._keys = keys
        self._entry = replace(entry, content=None, chunks=None)
        self._size = entry.size
        self._content = ContentDigest(keys)

    def begin(self) -> Part:
        """Its metadata."""
        return Part(records=[to_record(self._entry)])

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
        part = Part(records=[[CONTINUE, stretch.items]], bytes=stretch.length)
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
        return Part(records=[[CONTINUE, items]], bytes=self.got - begin)

    def end(self, size: int, flags: int) -> Part:
        """The file is complete."""
        self._entry.size, self._entry.flags = size, flags
        self._entry.content = self._content.finish(size)
        record: Record = [END, size, encode_bytes(self._entry.content), flags]
        return Part(records=[record], entries=[self._entry], files=1)

    def void(self) -> Part:
        """What was told of the file does not count; it may follow anew."""
        return Part(records=[[END, 0, encode_bytes(bytes(32)), VOID]], bytes=-self.got)


def walk(
    volume: Volume, links: LinkTable, skip: Callable[[str, bytes], None]
) -> Iterator[tuple[bytes, tuple[bytes, ...], os.stat_result, Entry] | None]:
    """The tree in canonical order: (path, its parts, status, entry), and None where a directory ends.

    Directories, links and the like come described; files bare, because their reader looks at them again.
    """

    def listed(folder: bytes) -> Iterator[bytes]:
        try:
            return iter(volume.names(folder))
        except (FileNotFoundError, NotADirectoryError):
            skip("vanished", folder)
            return iter(())
        except OSError as error:
            raise _unreadable_folder(folder, error) from error

    status = volume.status(b"")
    root = volume.describe(b"", status)
    assert root is not None
    root.name = b""
    yield b"", (), status, root
    stack: list[tuple[bytes, tuple[bytes, ...], Iterator[bytes]]] = [(b"", (), listed(b""))]
    while stack:
        folder, parts, names = stack[-1]
        name = next(names, None)
        if name is None:
            stack.pop()
            yield None
            continue
        path = join(folder, name)
        try:
            status = volume.status(path)
            kind = stat.S_IFMT(status.st_mode)
            first = None
            if status.st_nlink > 1 and kind not in (stat.S_IFDIR, stat.S_IFSOCK):
                first = links.first(status.st_dev, status.st_ino, path)
            if first is not None:
                entry: Entry | None = Entry(HARD_LINK, name, target=first)
            elif kind == stat.S_IFREG:
                entry = entry_of(name, status)
            else:
                entry = volume.describe(path, status)
        except FileNotFoundError:
            skip("vanished", path)
            continue
        except OSError as error:
            raise _unreadable_folder(path, error) from error
        if entry is None:
            skip("socket", path)
            continue
        below = (*parts, name)
        yield path, below, status, entry
        if kind == stat.S_IFDIR:
            stack.append((path, below, listed(path)))


def _is_file(entry: Entry) -> bool:
    return entry.kind == FILE


def same_file(status: os.stat_result, entry: Entry) -> bool:
    """Whether a journal's file is the one that `status` describes, unwritten since."""
    return (
        entry.kind == FILE
        and not entry.flags & UNSTABLE
        and (entry.size, entry.mtime, entry.ctime, entry.inode)
        == (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        and (entry.mode, entry.uid, entry.gid) == (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    )


def _closed_and_unchanged(
    settings: Settings, volume: Volume, store: ObjectStore, keys: VolumeKeys
) -> dict[str, Any] | None:
    """What the newest run's closing record says, when that run is closed and the tree is still what it tells."""
    runs = list_runs(store)
    try:
        if not runs or read_manifest(store, keys, runs[-1], settings.volume) is None:
            return None
    except IntegrityError:
        return None
    reader = JournalReader(store, keys, runs[-1], settings.volume)
    links = LinkTable()
    try:
        cursor = Cursor(reader)
        if int(reader.head["pass"]) < settings.pass_number:
            return None
        changed = False

        def skip(what: str, _: bytes) -> None:
            nonlocal changed
            changed = changed or what == "vanished"

        count = 0
        for step in walk(volume, links, skip):
            if step is None:
                continue
            _, parts, status, entry = step
            accept = (
                functools.partial(same_file, status) if entry.kind == FILE else functools.partial(entry_equal, entry)
            )
            if changed or cursor.find(parts, accept) is None:
                return None
            count += entry.kind != "d"
        for _ in reader.segments():
            pass
    except IntegrityError:
        return None
    finally:
        links.close()
    if reader.close is None or reader.close["files"] != count:
        return None
    return reader.close


def _require_directory(volume: Volume, label: str) -> None:
    try:
        status = volume.status(b"")
    except OSError as error:
        raise SourceUnreadable(
            f"The source volume {label} is not there: {os.strerror(error.errno or 0)}. Check the mount path."
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise SourceUnreadable(f"The source volume {label} is not a directory. Check the mount path.")


def _unreadable_folder(path: bytes, error: OSError) -> SourceUnreadable:
    advice = (
        "Run the mover as the owner or with the capability DAC_READ_SEARCH."
        if error.errno in (errno.EACCES, errno.EPERM)
        else "Check the source volume and its storage."
    )
    return SourceUnreadable(f"{readable(path)} cannot be read: {os.strerror(error.errno or 0)}. {advice}")


def _count(volume: Volume, counters: Counters, stop: threading.Event) -> None:
    """Count the tree beside the push, for whoever wants to know how much is left."""
    files = 0
    size = 0.0
    folders = [b""]
    while folders:
        folder = folders.pop()
        with contextlib.suppress(OSError):
            for name in volume.names(folder):
                if stop.is_set():
                    return
                path = join(folder, name)
                status = volume.status(path)
                if stat.S_ISDIR(status.st_mode):
                    folders.append(path)
                    continue
                if stat.S_ISREG(status.st_mode):
                    # Every name of a hard link bears its share.
                    size += status.st_size / max(1, status.st_nlink)
                files += not stat.S_ISSOCK(status.st_mode)
    counters.files_total, counters.bytes_total = files, round(size)
