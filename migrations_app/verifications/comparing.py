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
    """The paths whose entries differ, in order: path, what differs, and the side on which it is newer."""
    left, right = _entries(source), _entries(destination)
    found = []
    for each in left.keys() | right.keys():
        if what := _what(left.get(each), right.get(each)):
            one, other = left.get(each, {}), right.get(each, {})
            found.append({"path": (one or other)["path"], "what": what, "newer": _newer(one, other)})
    return sorted(found, key=lambda each: each["path"])


def _entries(lines: Iterable[Line]) -> dict[str, Line]:
    return {line["id"]: line for line in lines if line["type"] == "entry" and "id" in line and "path" in line}


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
