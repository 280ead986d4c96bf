"""What earlier runs of a push told, beside the walk of this one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mover.blocks import HOLE, ZEROS
from mover.crypto import VolumeKeys
from mover.errors import IntegrityError
from mover.journal import Cursor, JournalReader, read_manifest
from mover.objectstore import ObjectStore
from mover.report import Reporter
from mover.settings import Settings

_MOST_BASES = 4


@dataclass(slots=True)
class Base:
    """An earlier run's journal, and where its list of runs lies in ours."""

    cursor: Cursor
    shift: list[int]

    def shifted(self, item: list[Any]) -> list[Any]:
        """A chunk item as our journal says it."""
        return item if item[0] in (HOLE, ZEROS) else [item[0], self.shift[item[1]], *item[2:]]

    def items(self) -> Iterator[list[Any] | None]:
        """The items of the file that the cursor is at, one for each chunk; None for zeros, holes and after the end."""
        for item in self.cursor.chunks():
            if item[0] in (HOLE, ZEROS):
                yield from itertools.repeat(None, item[1])
            else:
                yield self.shifted(item)
        yield from itertools.repeat(None)


def open_bases(
    settings: Settings, store: ObjectStore, keys: VolumeKeys, reporter: Reporter, runs: list[str], packs: list[str]
) -> tuple[list[Base], int]:
    """The newest runs' journals, back to the last closed one, and the pass of the run that begins.

    The runs that they name are added to `packs`, the new run's list.
    """
    bases: list[Base] = []
    pass_number = max(1, settings.pass_number)
    for run in reversed(runs[-_MOST_BASES:]):
        reader = JournalReader(store, keys, run, settings.volume)
        try:
            closed = read_manifest(store, keys, run, settings.volume) is not None
            cursor = Cursor(reader)
        except IntegrityError as error:
            reporter.warning("earlier-run-unusable", run, f"Everything is read anew: {error.message}")
            continue
        if not reader.head:
            continue
        if not bases:
            pass_number = max(int(reader.head["pass"]) + (1 if closed else 0), settings.pass_number)
        shift: list[int] = []
        for name in reader.head["packs"]:
            if name not in packs:
                packs.append(name)
            shift.append(packs.index(name))
        bases.append(Base(cursor, shift))
        if closed:
            break
    return bases, pass_number
