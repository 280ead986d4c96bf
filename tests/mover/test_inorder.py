"""Files are read ahead, many small ones at a time, and used in order; what waits is bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from mover.inorder import InOrder

WORKERS = 2
MIB = 1 << 20


@pytest.fixture
def in_order() -> Iterator[InOrder]:
    made = InOrder(WORKERS)
    yield made
    made.close()


def test_what_was_read_is_taken_in_the_order_in_which_it_was_given(in_order: InOrder) -> None:
    taken: list[object] = []
    second_is_read = threading.Event()

    def first() -> str:
        # It ends after the one behind it, which another thread reads.
        assert second_is_read.wait(30)
        return "first"

    def second() -> str:
        second_is_read.set()
        return "second"

    in_order.then(lambda: taken.append("before"))
    in_order.read(first, taken.append, MIB)
    in_order.read(second, taken.append, MIB)
    in_order.then(lambda: taken.append("after"))
    in_order.drain()
    assert taken == ["before", "first", "second", "after"]


def test_small_ones_go_to_a_thread_together_and_large_ones_alone(in_order: InOrder) -> None:
    threads: list[int] = []
    batches: list[int] = []

    submit = in_order._pool.submit

    def counted(work: Callable[..., object], batch: list[object]) -> object:
        batches.append(len(batch))
        return submit(work, batch)

    in_order._pool.submit = counted  # type: ignore[method-assign,assignment]
    for _ in range(1000):
        in_order.read(threading.get_ident, threads.append, 100)
    in_order.drain()
    for _ in range(3):
        in_order.read(threading.get_ident, threads.append, MIB)
    in_order.drain()
    assert len(threads) == 1003
    assert threading.get_ident() not in threads
    assert batches[:-3] == [256, 256, 256, 232]
    assert batches[-3:] == [1, 1, 1]


@pytest.mark.parametrize("weight", [100, 200_000])
def test_no_more_waits_than_keeps_the_threads_at_work(in_order: InOrder, weight: int) -> None:
    taken = 0
    most = 0

    def take(_: object) -> None:
        nonlocal taken
        taken += 1

    for given in range(20_000):
        in_order.read(lambda: None, take, weight)
        most = max(most, given + 1 - taken)
    in_order.drain()
    assert taken == 20_000
    # So many batches, and the one that is being filled.
    assert most <= (2 * WORKERS + 1) * 256
    if weight > MIB // 256:
        assert most * weight <= (2 * WORKERS + 2) * (MIB + weight)


def test_what_a_thread_raises_is_raised_when_its_turn_has_come(in_order: InOrder) -> None:
    def failing() -> None:
        raise ValueError("this one")

    in_order.read(lambda: 1, lambda _: None, MIB)
    in_order.read(failing, lambda _: pytest.fail("there is nothing to take"), MIB)
    with pytest.raises(ValueError, match="this one"):
        in_order.drain()
