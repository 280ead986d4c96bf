"""Whether a file held still while it was read."""

from __future__ import annotations

import os
import time

# Up to Linux 6.12 a file's times only move with the clock's tick, at most 10 ms long: of two writes within one tick the
# second leaves no trace. What was written so shortly before it was read cannot be told from what was written after.
_TICK_NS = 20_000_000


def unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file is the same in everything that a write would change."""
    return (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def written_just_now(status: os.stat_result) -> bool:
    """Whether a further write could still leave the same times. Times of a clock that is ahead tell nothing."""
    return 0 <= time.time_ns() - status.st_ctime_ns < _TICK_NS


def settled(handle: int, status: os.stat_result) -> os.stat_result:
    """The status of a file before it is read; one that was written just now gets a moment to pass its tick."""
    if not written_just_now(status):
        return status
    time.sleep(_TICK_NS / 1e9)
    return os.fstat(handle)
