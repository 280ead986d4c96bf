"""Waiting for what controllers do."""

from __future__ import annotations

import time
from collections.abc import Callable


def until[T](condition: Callable[[], T], seconds: float = 15) -> T:
    """What the condition gives once that is true; AssertionError when it never is."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
