"""Past the page cache or through it: the same bytes are read and written, at whatever offset and length."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from mover import direct
from tests.mover.trees import random_bytes

A = direct.ALIGNMENT


@pytest.fixture
def room() -> memoryview:
    """Page-aligned, as direct access wants it."""
    return memoryview(mmap.mmap(-1, 64 * A))


def is_direct(handle: int) -> bool:
    return bool(direct._is_direct(handle))


@pytest.mark.parametrize("size", [0, 1, A - 1, A, A + 1, 5 * A, 5 * A + 17])
@pytest.mark.parametrize("wanted", [0, 1, A, 5 * A, 5 * A + 100])
def test_as_many_bytes_are_read_as_there_are(tmp_path: Path, room: memoryview, size: int, wanted: int) -> None:
    content = random_bytes(size, size)
    path = tmp_path / "file"
    path.write_bytes(content)
    for access in (direct.opened, os.open):
        handle = access(os.fsencode(path), os.O_RDONLY)
        try:
            got = direct.read_into(handle, room, wanted, 0)
        finally:
            os.close(handle)
        assert (got, bytes(room[:got])) == (min(size, wanted), content[:wanted])


@pytest.mark.parametrize("offset", [A, 3 * A, 1, A + 7, 10 * A])
def test_where_it_cannot_be_read_directly_it_is_read_through_the_cache(
    tmp_path: Path, room: memoryview, offset: int
) -> None:
    content = random_bytes(5 * A + 17, 1)
    path = tmp_path / "file"
    path.write_bytes(content)
    handle = direct.opened(os.fsencode(path), os.O_RDONLY)
    try:
        if offset % A and is_direct(handle):
            with pytest.raises(OSError, match="Invalid argument"):
                os.preadv(handle, [room[:A]], offset)
        got = direct.read_into(handle, room, 2 * A, offset)
        assert bytes(room[:got]) == content[offset : offset + 2 * A]
        if offset % A:
            assert not is_direct(handle)
    finally:
        os.close(handle)


def test_a_room_that_is_not_aligned_is_no_failure(tmp_path: Path, room: memoryview) -> None:
    content = random_bytes(3 * A, 2)
    path = tmp_path / "file"
    path.write_bytes(content)
    handle = direct.opened(os.fsencode(path), os.O_RDONLY)
    try:
        assert direct.read_into(handle, room[1:], 2 * A, 0) == 2 * A
    finally:
        os.close(handle)
    assert bytes(room[1 : 2 * A + 1]) == content[: 2 * A]


def test_what_is_dirty_in_the_cache_is_read_directly(tmp_path: Path, room: memoryview) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(4 * A))
    with path.open("r+b", buffering=0) as cached:
        handle = direct.opened(os.fsencode(path), os.O_RDONLY)
        try:
            cached.write(b"just now")
            direct.read_into(handle, room, A, 0)
        finally:
            os.close(handle)
    assert bytes(room[:8]) == b"just now"


@pytest.mark.parametrize(("length", "offset"), [(4 * A, 0), (4 * A, 8 * A), (A + 5, 0), (A, 3)])
def test_what_was_written_is_there_or_is_said_not_to_be(
    tmp_path: Path, room: memoryview, length: int, offset: int
) -> None:
    data = room[:length]
    data[:] = random_bytes(length, 3)
    path = tmp_path / "file"
    path.touch()
    handle = direct.opened(os.fsencode(path), os.O_RDWR)
    try:
        aligned = not (length % A or offset % A)
        written = direct.write_all(handle, data, offset)
        assert written or not aligned
    finally:
        os.close(handle)
    if written:
        assert path.read_bytes()[offset : offset + length] == bytes(data)


def test_a_full_disk_is_not_mistaken_for_one_without_direct_access(room: memoryview) -> None:
    handle = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left"):
            direct.write_all(handle, room[:A], 0)
    finally:
        os.close(handle)
