"""Which path of an inode was met first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mover.links import LinkTable


@pytest.fixture
def links() -> Iterator[LinkTable]:
    made = LinkTable()
    yield made
    made.close()


def test_the_first_path_is_remembered_and_told_to_all_others(links: LinkTable) -> None:
    assert links.first(1, 5, b"a") is None
    assert links.first(1, 5, b"b") == b"a"
    assert links.first(1, 5, b"c") == b"a"


def test_the_same_number_on_another_device_is_another_inode(links: LinkTable) -> None:
    assert links.first(1, 5, b"a") is None
    assert links.first(2, 5, b"b") is None
    # Numbers that only look alike when they are written behind one another.
    assert links.first(12, 3, b"c") is None
    assert links.first(1, 23, b"d") is None


def test_numbers_take_all_64_bits_and_paths_any_bytes(links: LinkTable) -> None:
    path = bytes(range(1, 256)) * 20
    for inode in (0, 1, 2**63 - 1, 2**63, 2**64 - 1):
        assert links.first(2**64 - 1, inode, path + b"%d" % inode) is None
    for inode in (0, 1, 2**63 - 1, 2**63, 2**64 - 1):
        assert links.first(2**64 - 1, inode, b"later") == path + b"%d" % inode


def test_more_than_its_memory_holds_are_kept(links: LinkTable) -> None:
    def path(number: int) -> bytes:
        return b"folder/" * 30 + b"%d" % number

    # Some 15 MB, where 4 are kept in memory.
    for number in range(60_000):
        assert links.first(1, number, path(number)) is None
    for number in range(0, 60_000, 997):
        assert links.first(1, number, b"later") == path(number)
