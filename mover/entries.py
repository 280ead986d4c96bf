"""One entry of a tree, and how it is written in the journal. docs/mover-format.md has the fields."""

from __future__ import annotations

import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Record = list[Any]

DIRECTORY = "d"
FILE = "f"
SYMLINK = "s"
HARD_LINK = "l"
FIFO = "p"
DEVICE = "n"

# Flags of a file.
UNSTABLE = 1
VOID = 2
# Some attribute of it could not be read.
UNREAD = 4

# About what the item of a chunk takes in the journal.
ITEM_BYTES = 128

_NO_XATTRS: Mapping[str, bytes] = {}


@dataclass(slots=True)
class Entry:
    """What there is to know about one name in a tree. `mtime` and `ctime` are in nanoseconds."""

    kind: str
    name: bytes
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=lambda: _NO_XATTRS)
    size: int = 0
    inode: int = 0
    ctime: int = 0
    chunks: list[Any] | None = None
    content: bytes | None = None
    flags: int = 0
    target: bytes = b""
    device: tuple[str, int, int] = ("", 0, 0)


def weight(entry: Entry) -> int:
    """About how many bytes there are to an entry that may have very many: attributes, a symlink's target, chunks."""
    attributes = sum(map(len, entry.xattrs.values())) if entry.xattrs else 0
    return attributes + len(entry.target) + ITEM_BYTES * len(entry.chunks or ())


def to_record(entry: Entry) -> Record:
    """The entry as a journal record. A file without `content` is continued by further records."""
    name = encode_name(entry.name)
    if entry.kind == HARD_LINK:
        return [HARD_LINK, name, encode_name(entry.target)]
    record = [entry.kind, name, entry.mode, entry.uid, entry.gid, entry.mtime, _encode_xattrs(entry.xattrs)]
    if entry.kind == FILE:
        content = encode_bytes(entry.content) if entry.content is not None else 0
        record += [entry.size, entry.inode, entry.ctime, entry.chunks or [], content, entry.flags]
    elif entry.kind == SYMLINK:
        record.append(encode_name(entry.target))
    elif entry.kind == DEVICE:
        record += entry.device
    return record


def from_record(record: Record) -> Entry:
    """The entry that `to_record` wrote."""
    kind = record[0]
    name = decode_name(record[1])
    if kind == HARD_LINK:
        return Entry(kind, name, target=decode_name(record[2]))
    entry = Entry(kind, name, record[2], record[3], record[4], record[5], _decode_xattrs(record[6]))
    if kind == FILE:
        entry.size, entry.inode, entry.ctime, entry.chunks = record[7], record[8], record[9], record[10]
        entry.content = decode_bytes(record[11]) if record[11] else None
        entry.flags = record[12]
    elif kind == SYMLINK:
        entry.target = decode_name(record[7])
    elif kind == DEVICE:
        entry.device = (record[7], record[8], record[9])
    return entry


def encode_name(name: bytes) -> str | list[str]:
    """A name as text where it is UTF-8, otherwise as a list that holds its base64."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return [encode_bytes(name)]


def decode_name(value: str | list[str]) -> bytes:
    """The name that `encode_name` was given."""
    return value.encode() if isinstance(value, str) else decode_bytes(value[0])


def encode_bytes(data: bytes) -> str:
    """Base64 without padding."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").decode()


def decode_bytes(text: str) -> bytes:
    """The bytes that `encode_bytes` was given."""
    return binascii.a2b_base64(text + "==="[: -len(text) % 4])


def readable(path: bytes) -> str:
    """A path for a message; bytes that are not UTF-8 show as \\x.., the root as a dot."""
    return path.decode("utf-8", "backslashreplace") or "."


def join(folder: bytes, name: bytes) -> bytes:
    """The path of `name` in `folder`, both relative to the volume's root (the root itself is empty)."""
    return folder + b"/" + name if folder else name


def _encode_xattrs(xattrs: Mapping[str, bytes]) -> int | list[list[Any]]:
    if not xattrs:
        return 0
    return [[encode_name(os.fsencode(name)), encode_bytes(value)] for name, value in sorted(xattrs.items())]


def _decode_xattrs(value: int | list[list[Any]]) -> Mapping[str, bytes]:
    if not isinstance(value, list):
        return _NO_XATTRS
    return {os.fsdecode(decode_name(name)): decode_bytes(data) for name, data in value}


def entry_equal(one: Entry, other: Entry) -> bool:
    """Whether two entries that are not files are the same in everything that is kept."""
    return (
        one.kind == other.kind
        and one.name == other.name
        and (one.mode, one.uid, one.gid, one.mtime) == (other.mode, other.uid, other.gid, other.mtime)
        and dict(one.xattrs) == dict(other.xattrs)
        and one.target == other.target
        and one.device == other.device
    )
