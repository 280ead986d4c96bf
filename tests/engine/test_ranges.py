"""From what two readers said of a file's parts to the ranges that differ."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from migrations_app.verifications import comparing

Line = dict[str, Any]
LENGTH = 1000


def lines(sums: str, *, size: int = 10_000, length: int = LENGTH, each: int = 4) -> list[Line]:
    """An entry whose parts have these digests, one letter each, so many to a line."""
    entry = {"type": "entry", "id": "1", "path": "disk", "kind": "f", "size": size, "content": sums}
    told = [
        {
            "type": "parts",
            "id": "1",
            "first": first,
            "length": length,
            "sums": base64.b64encode(b"".join(letter.encode() * 8 for letter in sums[first : first + each])).decode(),
        }
        for first in range(0, len(sums), each)
    ]
    return [entry, *told]


def ranges(source: list[Line], destination: list[Line]) -> Any:
    (found,) = comparing.differences(source, destination)
    return [(each["offset"], each["length"]) for each in found["ranges"]] if "ranges" in found else None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("aaaaaaaaaa", "abaaaaaaaa", [(1000, 1000)]),
        ("aaaaaaaaaa", "abbbaabaaa", [(1000, 3000), (6000, 1000)]),
        ("aaaaaaaaaa", "aaaaaaaaab", [(9000, 1000)]),
    ],
)
def test_neighbours_are_one_range(one: str, other: str, expected: list[tuple[int, int]]) -> None:
    assert ranges(lines(one), lines(other)) == expected


def test_the_last_range_ends_with_the_larger_file() -> None:
    assert ranges(lines("aaa", size=2500), lines("aa", size=2000)) == [(2000, 500)]


def test_of_many_ranges_the_first_are_told() -> None:
    (found,) = comparing.differences(lines("ab" * 20, size=40_000), lines("aa" * 20, size=40_000))
    assert (len(found["ranges"]), found["more_ranges"]) == (comparing.MOST_RANGES, True)
    (found,) = comparing.differences(lines("ab"), lines("aa"))
    assert found["more_ranges"] is False


def test_nothing_is_told_where_the_parts_cannot_be_compared() -> None:
    assert ranges(lines("ab"), lines("aa", length=2000)) is None
    assert ranges(lines("ab"), lines("aa")[:1]) is None
    # The log lacks a line in between.
    torn = lines("a" * 8 + "b" * 4)
    del torn[2]
    assert ranges(torn, lines("a" * 12)) is None
