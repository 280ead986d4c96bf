"""Faults on order: a test says what goes wrong with which requests, and how often."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field


@dataclass
class _Fault:
    pattern: re.Pattern[str]
    method: str | None
    times: int
    status: int = 0
    code: str = ""
    after_bytes: int | None = None

    def applies(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in (None, method) and self.pattern.search(path) is not None


@dataclass
class Faults:
    """What goes wrong. `latency` (seconds) is added to every request; while `stopped`, connections close at once, and
    `turned_away` has each one's method and path.

    `without_sts`: the store gives no temporary keys, as many do not; `ignores_policies`: it does not heed theirs.
    """

    latency: float = 0.0
    stopped: bool = False
    turned_away: list[tuple[str, str]] = field(default_factory=list)
    without_sts: bool = False
    ignores_policies: bool = False
    _faults: list[_Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(
        self, match: str, *, method: str | None = None, status: int = 503, code: str = "SlowDown", times: int = 1
    ) -> None:
        """Answer the next `times` requests whose path matches the pattern with an error."""
        self._add(_Fault(re.compile(match), method, times, status=status, code=code))

    def drop(self, match: str, *, method: str | None = None, times: int = 1, after_bytes: int = 0) -> None:
        """Close the connection of matching requests after so many bytes of the body have gone in or out."""
        self._add(_Fault(re.compile(match), method, times, after_bytes=after_bytes))

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._faults.clear()
            self.turned_away.clear()
        self.latency, self.stopped = 0.0, False
        self.without_sts = self.ignores_policies = False

    def _add(self, fault: _Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def take(self, method: str, path: str) -> _Fault | None:
        """The fault that strikes this request, counted down."""
        with self._lock:
            for fault in self._faults:
                if fault.applies(method, path):
                    fault.times -= 1
                    return fault
        return None
