"""Before a later pass: the destination must be what the earlier pass left there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mover.crypto import VolumeKeys
from mover.entries import DIRECTORY, Entry, Record
from mover.errors import ForeignContent
from mover.journal import JournalReader, list_runs, read_manifest, whole_entries
from mover.metadata import could_not_be_kept
from mover.objectstore import ObjectStore
from mover.settings import Settings
from mover.tree import Volume

# More segments than any journal has.
EVERYTHING = 1 << 40


@dataclass(frozen=True)
class EarlierPass:
    """The newest closed run of an earlier pass, and what it told of the tree's root."""

    run: str
    root: Entry


def earlier_pass(settings: Settings, store: ObjectStore, keys: VolumeKeys) -> EarlierPass | None:
    """The pass before the one that is asked for; None where there is none."""
    for run in reversed(list_runs(store)):
        if read_manifest(store, keys, run, settings.volume) is None:
            continue
        reader = JournalReader(store, keys, run, settings.volume)
        records = (record for segment in reader.segments() for record in segment)
        root = next(whole_entries(records), None)
        if root is not None and int(reader.head["pass"]) < settings.pass_number:
            return EarlierPass(run, root)
    return None


def require_untouched(
    volume: Volume, before: EarlierPass, settings: Settings, store: ObjectStore, keys: VolumeKeys
) -> None:
    """Refuse a destination that is not what the earlier pass left: whatever else is there would be removed.

    The earlier pass has set the root's time to the nanosecond, and every name that comes or goes there changes it.
    Where that pass could not set it, there must at least be no name that it did not bring.
    """
    root = volume.describe(b"")
    if root is not None:
        if root.mtime == before.root.mtime:
            return
        with volume.reach(b"") as reached:
            unset = could_not_be_kept("mtime", root, before.root, reached)
        if unset and _has_only_names_of(volume, JournalReader(store, keys, before.run, settings.volume)):
            return
    raise ForeignContent(
        f"The destination volume {settings.volume} is not as the earlier pass left it: something was added to it or "
        "removed from it since. Stop what uses it there, then give an empty claim, or remove its content, and start "
        "again."
    )


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
