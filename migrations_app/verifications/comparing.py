"""From what two readers said to the paths that differ. Plain values in and out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

Line = dict[str, Any]
# As the mover has them: see mover/inspection.py and docs/mover-format.md.
BUCKETS = 4096
WIDTH = 8
# So many paths are named.
MOST_NAMED = 100
# A second look lists about so many entries at most: it has to fit into a container's log.
MOST_LISTED = 10_000
# So many ranges of a file are told.
MOST_RANGES = 10
KINDS = {"d": "directory", "f": "file", "s": "symbolic link", "l": "hard link", "p": "FIFO", "n": "device"}


def sums_in(lines: Iterable[Line]) -> bytes | None:
    """The digests of all buckets that a reader said; None where some are not there."""
    found = bytearray()
    for line in lines:
        if line["type"] == "buckets" and line.get("first") == len(found) // WIDTH:
            try:
                found += base64.b64decode(str(line.get("sums")), validate=True)
            except binascii.Error:
                return None
    return bytes(found) if len(found) == BUCKETS * WIDTH else None


def unlike(one: bytes, other: bytes) -> list[int]:
    """The buckets whose digests differ."""
    return [n for n in range(BUCKETS) if one[n * WIDTH : (n + 1) * WIDTH] != other[n * WIDTH : (n + 1) * WIDTH]]


def few_enough(buckets: list[int], files: int) -> list[int]:
    """The first of the buckets, as many as a log can hold the entries of, in a tree of so many files."""
    return buckets[: max(1, min(MOST_NAMED, MOST_LISTED * BUCKETS // max(1, files)))]


def differences(source: Iterable[Line], destination: Iterable[Line]) -> list[dict[str, Any]]:
    """The paths whose entries differ, in order: path, what differs, and the side on which it is newer.

    Of contents also the first ranges that differ, as offset and length, as far as both sides told of the same parts.
    """
    source, destination = list(source), list(destination)
    left, right = _entries(source), _entries(destination)
    left_parts, right_parts = _parts(source), _parts(destination)
    found = []
    for each in left.keys() | right.keys():
        if what := _what(left.get(each), right.get(each)):
            one, other = left.get(each, {}), right.get(each, {})
            told = {"path": (one or other)["path"], "what": what, "newer": _newer(one, other)}
            size = max(one.get("size") or 0, other.get("size") or 0)
            if "content" in what and (ranges := _ranges(left_parts.get(each), right_parts.get(each), size)):
                told["ranges"] = ranges[:MOST_RANGES]
                told["more_ranges"] = len(ranges) > MOST_RANGES
            found.append(told)
    return sorted(found, key=lambda each: each["path"])


def _entries(lines: Iterable[Line]) -> dict[str, Line]:
    return {line["id"]: line for line in lines if line["type"] == "entry" and "id" in line and "path" in line}


def _parts(lines: Iterable[Line]) -> dict[str, tuple[int, bytes]]:
    """The length of an entry's parts, and their digests; nothing of an entry of which a line is lacking."""
    found: dict[str, tuple[int, bytes]] = {}
    torn = set()
    for line in lines:
        if line["type"] == "parts" and "id" in line:
            length, sums = found.get(line["id"], (line.get("length"), b""))
            try:
                more = base64.b64decode(str(line.get("sums")), validate=True)
            except binascii.Error:
                more = b""
            if line.get("first") != len(sums) // WIDTH or not isinstance(length, int) or not more:
                torn.add(line["id"])
                continue
            found[line["id"]] = length, sums + more
    return {each: parts for each, parts in found.items() if each not in torn}


def _ranges(one: tuple[int, bytes] | None, other: tuple[int, bytes] | None, size: int) -> list[dict[str, int]]:
    """Where the parts differ: neighbours are one range, and the last one ends with the file of `size` bytes."""
    if one is None or other is None or one[0] != other[0]:
        return []
    length = one[0]
    found: list[dict[str, int]] = []
    for at in range(0, max(len(one[1]), len(other[1])), WIDTH):
        if one[1][at : at + WIDTH] == other[1][at : at + WIDTH]:
            continue
        begin = at // WIDTH * length
        if found and found[-1]["offset"] + found[-1]["length"] == begin:
            found[-1]["length"] += length
        else:
            found.append({"offset": begin, "length": length})
    if found:
        found[-1]["length"] = min(found[-1]["length"], size - found[-1]["offset"])
    return found


def _what(one: Line | None, other: Line | None) -> list[str]:
    if one is None or other is None:
        return ["only on the destination" if one is None else "only on the source"]
    if one["kind"] != other["kind"]:
        return [f"{KINDS.get(one['kind'], '?')} on the source, {KINDS.get(other['kind'], '?')} on the destination"]
    groups = {
        "size": ("size",),
        "content": ("content",),
        "target": ("target",),
        "device": ("device",),
        "mode": ("mode",),
        "owner": ("uid", "gid"),
        "mtime": ("mtime",),
        "xattrs": ("xattrs",),
    }
    return [name for name, fields in groups.items() if any(one.get(each) != other.get(each) for each in fields)]


def _newer(one: Line, other: Line) -> str:
    before, after = one.get("mtime"), other.get("mtime")
    if before is None or after is None or before == after:
        return ""
    return "source" if before > after else "destination"
