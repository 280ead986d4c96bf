"""Reading files ahead in threads, small ones many at a time, while what becomes of them happens in canonical order."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mover.blocks import BLOCK_BYTES

# Handing a file to a thread and back costs more than reading a small one, so that they go together.
_BATCH_BYTES = BLOCK_BYTES
_BATCH_ITEMS = 256

# What a thread does, if anything, and the step that its outcome is for.
_Item = tuple[Callable[[], Any] | None, Callable[[Any], None]]


class InOrder:
    """For one thread, which walks through a tree and takes what the threads of this object read.

    At most so many batches wait as keep the threads at work, each with few files and few bytes of attributes.
    """

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="read")
        self._most = 2 * workers
        self._pending: deque[Callable[[], None]] = deque()
        self._batch: list[_Item] = []
        self._weight = 0

    def then(self, step: Callable[[], None], weight: int = 0) -> None:
        """Run `step` after everything that was given before; it holds on to about `weight` bytes until then."""
        self._add(None, lambda _: step(), weight)

    def read[T](self, reading: Callable[[], T], take: Callable[[T], None], weight: int) -> None:
        """Do `reading`, of about `weight` bytes, in a thread, and when its turn has come `take` what it returned."""
        self._add(reading, take, weight)

    def drain(self) -> None:
        """Everything that was given has run; raises what one of them raised."""
        self._flush()
        while self._pending:
            self._pending.popleft()()

    def close(self) -> None:
        """Give up what has not run yet."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _add(self, reading: Callable[[], Any] | None, take: Callable[[Any], None], weight: int) -> None:
        self._batch.append((reading, take))
        self._weight += weight
        if self._weight >= _BATCH_BYTES or len(self._batch) >= _BATCH_ITEMS:
            self._flush()

    def _flush(self) -> None:
        if not self._batch:
            return
        batch, self._batch, self._weight = self._batch, [], 0
        self._pending.append(functools.partial(_take_all, batch, self._pool.submit(_read_all, batch)))
        if len(self._pending) > self._most:
            self._pending.popleft()()


def _read_all(batch: list[_Item]) -> list[Any]:
    return [reading() if reading is not None else None for reading, _ in batch]


def _take_all(batch: list[_Item], outcomes: Future[list[Any]]) -> None:
    for (_, take), outcome in zip(batch, outcomes.result(), strict=True):
        take(outcome)
