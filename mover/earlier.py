"""Before a pull begins at a volume with content: that must be what an earlier pull or pass left there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mover.compare import Comparison
from mover.crypto import VolumeKeys
from mover.entries import DIRECTORY, Entry, Record, readable
from mover.errors import ForeignContent, IntegrityError
from mover.journal import JournalReader, list_runs, read_manifest, whole_entries
from mover.metadata import could_not_be_kept
from mover.objectstore import ObjectStore
from mover.settings import Settings
from mover.tree import Volume

# More segments than any journal has.
EVERYTHING = 1 << 40
_MOST_NAMED = 3


@dataclass(frozen=True)
class Known:
    """The run that a destination's content came from; the result of having read all of it again, where it was."""

    run: str
    result: dict[str, Any] | None


@dataclass(frozen=True)
class _EarlierPass:
    """The newest closed run of an earlier pass, and what it told of the tree's root."""

    run: str
    root: Entry


def what_is_there(
    settings: Settings, volume: Volume, store: ObjectStore, keys: VolumeKeys, comparison: Comparison
) -> Known | None:
    """What a destination without notes of a pull under way holds; None when it is empty.

    The earlier pass, or what a pull that came to its end left. Since then the push may have begun anew, because it was
    lost before it was heard of: runs newer than the one that the content came from may be open, or closed by now.
    Raises ForeignContent for all else, whatever is there is left alone.
    """
    foreign = list(itertools.islice(volume.names(b""), _MOST_NAMED + 1))
    if not foreign:
        return None
    before = _earlier_pass(settings, store, keys) if settings.pass_number > 1 else None
    if before is not None and _is_untouched(volume, before, settings, store, keys):
        return Known(before.run, None)
    differences: list[str] = []
    runs = list_runs(store)
    for run in reversed(runs):
        found: list[str] = []
        try:
            if _is_closed(run, settings, store, keys):
                result = comparison.check(run, found, repair_root=True)
                if not found:
                    return Known(run, result)
        except IntegrityError:
            # What an older run told is no matter any more, unless the content came from it, which nothing tells now.
            if run == runs[-1]:
                raise
        differences = differences or found
    if before is not None:
        raise ForeignContent(
            f"The destination volume {settings.volume} is not as the earlier pass left it: something was added to it "
            "or removed from it since. Stop what uses it there, then give an empty claim, or remove its content, and "
            "start again."
        )
    some = ", ".join(readable(name) for name in foreign[:_MOST_NAMED]) + (", …" if len(foreign) > _MOST_NAMED else "")
    detail = f" It differs from the migration's data in {'; '.join(differences[:3])}." if differences else ""
    raise ForeignContent(
        f"The destination volume {settings.volume} is not empty: it holds {some}, which this migration did not put "
        f"there.{detail} Give an empty claim, or remove its content, and start again."
    )


def _is_closed(run: str, settings: Settings, store: ObjectStore, keys: VolumeKeys) -> bool:
    """Whether a pull of the pass that is asked for may have come to its end with `run`.

    The journal's closing record is enough for that: a push may have been lost just before it stored the manifest.
    """
    reader = JournalReader(store, keys, run, settings.volume)
    reader.next()
    if int(reader.head.get("pass", 0)) < settings.pass_number:
        return False
    if read_manifest(store, keys, run, settings.volume) is not None:
        return True
    for _ in reader.segments():
        pass
    return reader.close is not None


def _earlier_pass(settings: Settings, store: ObjectStore, keys: VolumeKeys) -> _EarlierPass | None:
    """The pass before the one that is asked for; None where there is none."""
    for run in reversed(list_runs(store)):
        if read_manifest(store, keys, run, settings.volume) is None:
            continue
        reader = JournalReader(store, keys, run, settings.volume)
        records = (record for segment in reader.segments() for record in segment)
        root = next(whole_entries(records), None)
        if root is not None and int(reader.head["pass"]) < settings.pass_number:
            return _EarlierPass(run, root)
    return None


def _is_untouched(
    volume: Volume, before: _EarlierPass, settings: Settings, store: ObjectStore, keys: VolumeKeys
) -> bool:
    """Whether a destination is what the earlier pass left: whatever else is there would be removed.

    The earlier pass has set the root's time to the nanosecond, and every name that comes or goes there changes it.
    Where that pass could not set it, there must at least be no name that it did not bring.
    """
    root = volume.describe(b"")
    if root is None:
        return False
    if root.mtime == before.root.mtime:
        return True
    with volume.reach(b"") as reached:
        unset = could_not_be_kept("mtime", root, before.root, reached)
    return unset and _has_only_names_of(volume, JournalReader(store, keys, before.run, settings.volume))


def _has_only_names_of(volume: Volume, reader: JournalReader) -> bool:
    """Whether a run's journal tells of every name in the volume's root."""
    told = _root_names(record for segment in reader.segments() for record in segment)
    # Both come in order.
    return all(name in told for name in volume.names(b""))


def _root_names(records: Iterator[Record]) -> Iterator[bytes]:
    depth = 0
    for entry in whole_entries(records):
        if entry is None:
            depth -= 1
            continue
        if depth == 1:
            yield entry.name
        depth += entry.kind == DIRECTORY
