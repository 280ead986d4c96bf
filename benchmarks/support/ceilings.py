"""The most that the disk and the object store give, with as little as possible in between. In MB/s."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.support.measured import settle
from benchmarks.support.store import Bucket

OBJECT_BYTES = 16 << 20
THREADS = 8


def _rate(size: int, work: Callable[[], Any]) -> float:
    settle()
    began = time.monotonic()
    work()
    return size / (time.monotonic() - began) / 1e6


def measure(bucket: Bucket, folder: Path, megabytes: int) -> dict[str, float]:
    """Disk and store, one way and both ways at once."""
    size = megabytes << 20
    piece = os.urandom(OBJECT_BYTES)
    count = size // OBJECT_BYTES
    path, copy = folder / "ceiling", folder / "ceiling-copy"

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for _ in range(count):
                file.write(piece)
            os.fsync(file.fileno())

    def read() -> None:
        with path.open("rb", buffering=0) as file:
            while file.read(OBJECT_BYTES):
                pass

    def duplicate() -> None:
        with path.open("rb", buffering=0) as source, copy.open("wb", buffering=0) as target:
            while piece := source.read(OBJECT_BYTES):
                target.write(piece)
            os.fsync(target.fileno())

    client = bucket.client(2 * THREADS + 2)

    def put(number: int) -> None:
        client.put_object(Bucket=bucket.name, Key=f"ceiling/{number}", Body=piece)

    def get(number: int) -> None:
        body = client.get_object(Bucket=bucket.name, Key=f"ceiling/{number}")["Body"]
        while body.read(1 << 20):
            pass

    def through(number: int) -> None:
        put(number)
        get(number)

    def all_at_once(work: Callable[[int], None], numbers: Iterable[int] = range(count)) -> Callable[[], None]:
        def done() -> None:
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(work, numbers))

        return done

    found = {
        "disk_write": _rate(size, write),
        "disk_read": _rate(size, read),
        "disk_copy": _rate(size, duplicate),
        "s3_put": _rate(size, all_at_once(put)),
        "s3_get": _rate(size, all_at_once(get)),
        "s3_put_and_get": _rate(size, all_at_once(through)),
    }
    path.unlink()
    copy.unlink()
    bucket.empty("ceiling/")
    return {name: round(value, 1) for name, value in found.items()}
