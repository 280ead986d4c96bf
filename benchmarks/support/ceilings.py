"""The most that the disk and the object store give, with as little as possible in between. In MB/s.

The disk is measured past the page cache and through it, and the better of both counts. The embedded S3 server keeps its
bucket on the same disk, so that a transfer reads and writes that disk twice: the source and the bucket's objects are
read, the bucket's objects and the destination are written.
"""

from __future__ import annotations

import functools
import mmap
import os
import queue
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.support.measured import settle
from benchmarks.support.store import Bucket
from mover.s3 import Body, Client

OBJECT_BYTES = 8 << 20
THREADS = 8
PIECE_BYTES = 1 << 20
# Ways to keep a disk busy: bytes per request, requests at once.
WAYS = ((1 << 20, 8), (4 << 20, 4), (8 << 20, 8))


def _rate(size: int, work: Callable[[], Any]) -> float:
    settle()
    began = time.monotonic()
    work()
    return size / (time.monotonic() - began) / 1e6


def _buffer(size: int) -> memoryview:
    """Memory that begins at a page, as direct access needs it, every page of it there already."""
    view = memoryview(mmap.mmap(-1, size))
    view[:] = os.urandom(size)
    return view


_ROOMS = [_buffer(max(piece for piece, _ in WAYS)) for _ in range(max(threads for _, threads in WAYS))]


def _spread(work: Callable[[int], None], count: int, threads: int = THREADS) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(count)))


class _Disk:
    """Three ways to move one file's bytes: the best rate of each, of several ways to ask for them."""

    def __init__(self, folder: Path, size: int, flags: int) -> None:
        self._path, self._copy = folder / "ceiling", folder / "ceiling-copy"
        self._size, self._flags = size, flags

    def _each(self, way: tuple[int, int], work: Callable[[memoryview, int], None]) -> None:
        piece, threads = way

        def part(thread: int) -> None:
            room = _ROOMS[thread][:piece]
            for number in range(thread, self._size // piece, threads):
                work(room, number * piece)

        _spread(part, threads, threads)

    def _opened(self, path: Path, flags: int) -> int:
        return os.open(path, flags | self._flags, 0o600)

    def write(self, way: tuple[int, int]) -> None:
        handle = self._opened(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._each(way, lambda room, at: _all(os.pwrite(handle, room, at), room))
        os.fsync(handle)
        os.close(handle)

    def read(self, way: tuple[int, int]) -> None:
        handle = self._opened(self._path, os.O_RDONLY)
        self._each(way, lambda room, at: _all(os.preadv(handle, [room], at), room))
        os.close(handle)

    def copy(self, way: tuple[int, int]) -> None:
        source = self._opened(self._path, os.O_RDONLY)
        target = self._opened(self._copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

        def piece(room: memoryview, at: int) -> None:
            _all(os.preadv(source, [room], at), room)
            _all(os.pwrite(target, room, at), room)

        self._each(way, piece)
        os.fsync(target)
        os.close(source)
        os.close(target)

    def rates(self) -> dict[str, float]:
        found = {
            name: max(_rate(self._size, functools.partial(getattr(self, name), way)) for way in WAYS)
            for name in ("write", "read", "copy")
        }
        self._path.unlink()
        self._copy.unlink()
        return found


def _all(count: int, room: memoryview) -> None:
    assert count == len(room)


def _drained(body: Body) -> None:
    room = memoryview(bytearray(PIECE_BYTES))
    while body.readinto(room):
        pass


def _relay(client: Client, folder: Path, count: int) -> Callable[[], None]:
    """A transfer that does nothing with the bytes: from a file through the bucket into another, all at once."""
    source, target = folder / "ceiling", folder / "ceiling-copy"
    handle = os.open(source, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600)
    room = _buffer(OBJECT_BYTES)
    for number in range(count):
        os.pwrite(handle, room, number * OBJECT_BYTES)
    os.close(handle)

    def relay() -> None:
        taken = os.open(source, os.O_RDONLY | os.O_DIRECT)
        given = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600)
        rooms = queue.SimpleQueue[memoryview]()
        for _ in range(THREADS):
            rooms.put(_buffer(OBJECT_BYTES))

        def carry(number: int) -> None:
            room = rooms.get()
            at = number * OBJECT_BYTES
            os.preadv(taken, [room], at)
            client.put(f"ceiling/{number}", [room])
            client.get(f"ceiling/{number}", lambda body: body.readinto(room))
            os.pwrite(given, room, at)
            rooms.put(room)

        _spread(carry, count)
        os.fsync(given)
        os.close(taken)
        os.close(given)
        source.unlink()
        target.unlink()

    return relay


def least_seconds(ceilings: Mapping[str, Any], carried: int, stored: int) -> float:
    """The least time in which `carried` bytes of files can pass through a bucket that keeps `stored` bytes of them.

    The store takes and gives what is stored; the disk reads the source and writes the destination and, where the bucket
    lies on it as well, writes and reads what is stored. Both work at once, at the best rate that was measured of each.
    """
    disk = carried + (stored if ceilings["bucket_on_the_same_disk"] else 0)
    return max(stored / ceilings["s3_put_and_get"], disk / ceilings["disk_copy"]) / 1e6


def measure(bucket: Bucket, folder: Path, megabytes: int) -> dict[str, Any]:
    """Disk and store, one way and both ways at once."""
    size = (megabytes << 20) // OBJECT_BYTES * OBJECT_BYTES
    count = size // OBJECT_BYTES
    piece = os.urandom(OBJECT_BYTES)
    client = bucket.fastest_client()

    def put(number: int) -> None:
        client.put(f"ceiling/{number}", [piece])

    def get(number: int) -> None:
        client.get(f"ceiling/{number}", _drained)

    def through(number: int) -> None:
        put(number)
        get(number)

    direct = _Disk(folder, size, os.O_DIRECT).rates()
    cached = _Disk(folder, size, 0).rates()
    store = {}
    for name, work in (("s3_put", put), ("s3_get", get), ("s3_put_and_get", through)):
        store[name] = _rate(size, functools.partial(_spread, work, count))
    bucket.empty("ceiling/")
    end_to_end = _rate(size, _relay(client, folder, count))
    bucket.empty("ceiling/")
    client.close()
    return {
        **{f"disk_{name}": round(max(direct[name], cached[name]), 1) for name in direct},
        **{f"disk_{name}_direct": round(value, 1) for name, value in direct.items()},
        **{f"disk_{name}_cached": round(value, 1) for name, value in cached.items()},
        **{name: round(value, 1) for name, value in store.items()},
        "end_to_end": round(end_to_end, 1),
        "bucket_on_the_same_disk": bucket.on_this_disk,
    }
