"""A limit on bytes per second is one for all threads together, and what was not used is not saved up."""

from __future__ import annotations

import threading

import pytest

from mover import pace
from mover.pace import Pace


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def test_what_goes_first_goes_at_once_and_the_next_when_its_time_has_come(clock: Clock) -> None:
    limit = Pace(1000)
    for _ in range(5):
        limit.take(500)
    assert clock.slept == [0, 0.5, 0.5, 0.5, 0.5]


def test_a_pause_is_not_caught_up_with(clock: Clock) -> None:
    limit = Pace(1000)
    limit.take(1000)
    clock.now += 60
    limit.take(1000)
    limit.take(1000)
    assert clock.slept == [0, 0, 1.0]


def test_no_limit_waits_for_nothing(clock: Clock) -> None:
    limit = Pace(0)
    for _ in range(3):
        limit.take(1 << 40)
    assert clock.slept == []


def test_threads_share_it(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Pace(1000)
    # Nobody's sleep lets time pass for the others: all ask in one instant.
    monkeypatch.setattr(clock, "sleep", clock.slept.append)
    threads = [threading.Thread(target=limit.take, args=(100,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(clock.slept) == pytest.approx([each / 10 for each in range(10)])
