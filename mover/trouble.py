"""What could not be carried over faithfully: counted by kind, so that nothing is dropped silently."""

from __future__ import annotations

import threading
from typing import Any

from mover.entries import readable


class Trouble:
    """What could not be carried over faithfully, counted by kind with one example each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, what: str, path: bytes) -> None:
        """One more of this kind."""
        with self._lock:
            count, example = self._found.get(what, (0, readable(path)))
            self._found[what] = (count + 1, example)

    def listed(self) -> list[dict[str, Any]]:
        """For the result line."""
        with self._lock:
            return [
                {"what": what, "count": count, "example": example}
                for what, (count, example) in sorted(self._found.items())
            ]
