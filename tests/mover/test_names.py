"""Names in a directory come in the order of their bytes, however many there are, and take little memory meanwhile."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mover import names


def make(folder: Path, found: list[bytes]) -> None:
    for name in found:
        os.close(os.open(os.fsencode(folder) + b"/" + name, os.O_CREAT | os.O_WRONLY))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 12, 13, 100])
def test_names_come_sorted_by_their_bytes_around_the_sizes_of_runs_and_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(names, "_RUN", 12)
    monkeypatch.setattr(names, "_PIECE", 4)
    wanted = [b"%d" % (number * 7919 % 1000) for number in range(count)]
    make(tmp_path, wanted)
    assert list(names.sorted_names(os.fsencode(tmp_path))) == sorted(wanted)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.sets(
        st.binary(min_size=1, max_size=20)
        .map(lambda raw: raw.replace(b"/", b"-").replace(b"\0", b"0"))
        .filter(lambda name: name not in (b".", b"..")),
        max_size=40,
    )
)
def test_names_of_any_bytes_come_sorted(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, found: set[bytes]
) -> None:
    monkeypatch.setattr(names, "_RUN", 10)
    monkeypatch.setattr(names, "_PIECE", 3)
    folder = tmp_path_factory.mktemp("names")
    make(folder, list(found))
    assert list(names.sorted_names(os.fsencode(folder))) == sorted(found)


def test_the_names_of_255_bytes_are_kept_packed(tmp_path: Path) -> None:
    make(tmp_path, [b"%05d" % number + b"n" * 250 for number in range(12_000)])
    tracemalloc.start()
    try:
        walk = names.sorted_names(os.fsencode(tmp_path))
        first = next(walk)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert first.startswith(b"00000")
    # All of them are 3.5 MB, and a walk holds as many lists as it is deep.
    assert held < 3 << 19
    assert sum(1 for _ in walk) == 11_999


def test_a_directory_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        names.sorted_names(os.fsencode(tmp_path / "nothing"))
