"""Faults that a test puts into a cluster: slowness, errors, broken connections, a stopped server, a full disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

Match = Callable[[str, str], bool] | str


@dataclass
class _Rule:
    match: Match
    method: str | None
    times: int
    status: int | None
    retry_after: int | None = None

    def takes(self, method: str, path: str) -> bool:
        if self.times <= 0 or (self.method and self.method != method):
            return False
        hit = re.search(self.match, path) is not None if isinstance(self.match, str) else self.match(method, path)
        if hit:
            self.times -= 1
        return hit


@dataclass
class Faults:
    """Asked by the server for each request, and by the kubelet for each claim. `match`: a function or a path regex."""

    latency: float = 0.0
    disk_limit_bytes: dict[str, int] = field(default_factory=dict)
    # API groups whose own server, to which the cluster's hands requests on, is down.
    silent_groups: set[str] = field(default_factory=set)
    _rules: list[_Rule] = field(default_factory=list)
    _stopped: bool = False
    # Told when `stopped` changes, in the thread that changes it.
    listeners: list[Callable[[bool], None]] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        """Whether the server is down: nothing listens, and open connections are closed."""
        return self._stopped

    @stopped.setter
    def stopped(self, value: bool) -> None:
        if value != self._stopped:
            self._stopped = value
            for listener in list(self.listeners):
                listener(value)

    def fail(
        self, match: Match, method: str | None = None, status: int = 503, times: int = 1, retry_after: int | None = None
    ) -> None:
        """Answer the next `times` matching requests with this status."""
        self._rules.append(_Rule(match, method, times, status, retry_after))

    def drop(self, match: Match, times: int = 1) -> None:
        """Close the connection of the next `times` matching requests without an answer."""
        self._rules.append(_Rule(match, None, times, None))

    def clear(self) -> None:
        self.latency, self.stopped = 0.0, False
        self._rules.clear()
        self.disk_limit_bytes.clear()
        self.silent_groups.clear()

    def verdict(self, method: str, path: str) -> tuple[int | None, int | None] | None:
        """None to go on; (None, …) to drop; (status, retry after) to fail."""
        for rule in self._rules:
            if rule.takes(method, path):
                return rule.status, rule.retry_after
        return None
