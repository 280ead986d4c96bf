"""Collect garbage: remove from the object store what killed pushes left behind and no journal needs any more."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from mover.blocks import HOLE, ZEROS
from mover.crypto import VolumeKeys
from mover.entries import FILE
from mover.errors import PUSH_ANEW, IntegrityError
from mover.journal import CONTINUE, JournalReader, list_runs, manifest_name, pack_name, read_manifest
from mover.objectstore import ObjectStore
from mover.report import Reporter
from mover.settings import Settings

_CHUNKS_OF_FILE = 10


def collect_garbage(settings: Settings, store: ObjectStore, reporter: Reporter) -> dict[str, Any]:
    """The fields of the result line.

    Every closed run stays, with the packs that its journal names. Runs newer than the newest closed one may be under
    way: they stay too, and so does every pack of theirs and of the runs that they may take over from. What goes are
    the other runs, which ended before their time and which nobody reads any more, and the packs that are left over.
    """
    keys = VolumeKeys(settings.data_key, settings.prefix)
    # Packs are listed before the journals: a run's journal begins before its first pack.
    packs = dict(store.sizes("packs/"))
    runs = list_runs(store)
    closed = [run for run in runs if read_manifest(store, keys, run, settings.volume) is not None]
    newest = closed[-1] if closed else ""
    needed: set[str] = set()
    whole: set[str] = set()
    for run in runs:
        if run in closed:
            needed |= _named_packs(JournalReader(store, keys, run, settings.volume))
        elif run > newest:
            whole |= _runs_in_reach(JournalReader(store, keys, run, settings.volume), run)
    dropped = [run for run in runs if run < newest and run not in closed]
    uploads = store.abort_uploads()
    objects = size = 0
    # Journals go first, so that none is ever there without its packs.
    garbage: list[Iterable[tuple[str, int]]] = [store.sizes(f"journal/{run}/") for run in dropped]
    garbage.append((name, count) for name, count in packs.items() if not (name in needed or _run_of(name) in whole))
    names = itertools.chain.from_iterable(garbage)
    while some := list(itertools.islice(names, 1000)):
        store.delete([name for name, _ in some])
        objects += len(some)
        size += sum(count for _, count in some)
        reporter.counters.add(files_done=len(some))
    return {"objects": objects, "bytes": size, "uploads": uploads}


def _named_packs(reader: JournalReader) -> set[str]:
    """The packs that a closed run's journal speaks of."""
    found: set[str] = set()
    for records in reader.segments():
        runs = reader.head["packs"]
        for record in records:
            items = record[_CHUNKS_OF_FILE] if record[0] == FILE else record[1] if record[0] == CONTINUE else None
            found.update(pack_name(runs[item[1]], item[2]) for item in items or [] if item[0] not in (HOLE, ZEROS))
    if reader.close is None:
        raise IntegrityError(
            f"The journal of run {reader.run} ends before its closing record, although {manifest_name(reader.run)} is "
            f"there. Nothing was removed. {PUSH_ANEW}",
            code="journal-incomplete",
        )
    return found


def _runs_in_reach(reader: JournalReader, run: str) -> set[str]:
    """The runs whose packs a run that is not closed may speak of, now or later."""
    reader.next()
    return {run, *reader.head.get("packs", [])}


def _run_of(pack: str) -> str:
    return pack.split("/")[1]
