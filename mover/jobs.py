"""The threads of a puller: packs of several segments at once, recorded as restored in the order of the journal."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

_PER_THREAD = 2
_RECORD_INTERVAL = 1.0


class Jobs:
    """What is being restored. `record` is told, now and then, up to which segment everything is."""

    def __init__(self, threads: int, record: Callable[[int], None]) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fetch")
        self._most = _PER_THREAD * threads
        self._record = record
        self._recorded = time.monotonic()
        self._open: deque[tuple[int, list[Future[None]]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._open)

    def submit(self, number: int, calls: Iterable[Callable[[], None]]) -> None:
        """Have `calls` made; segment `number` is restored once they and all before them are done."""
        self._open.append((number, [self._pool.submit(call) for call in calls]))

    def make_room(self) -> None:
        """Wait until there is little enough waiting for the threads."""
        self.collect(most=self._most)

    def drain(self) -> None:
        """Wait until everything is done."""
        self.collect(most=0)

    def collect(self, most: int | None = None) -> None:
        """Record what is restored; with `most`, wait until no more than so many calls are open. Raises what failed."""
        while True:
            while self._open and all(future.done() for future in self._open[0][1]):
                number, futures = self._open.popleft()
                for future in futures:
                    future.result()
                if time.monotonic() - self._recorded > _RECORD_INTERVAL:
                    self._recorded = time.monotonic()
                    self._record(number)
            still_open = [future for _, futures in self._open for future in futures if not future.done()]
            for _, futures in self._open:
                for future in futures:
                    if future.done():
                        future.result()
            if most is None or len(still_open) <= most:
                return
            wait(still_open, timeout=1.0, return_when=FIRST_COMPLETED)

    def stop(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
