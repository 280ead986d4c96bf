"""Pull: restore what a push brings, while it brings it, and prove the result at its end."""

from __future__ import annotations

import itertools
import os
import stat
import time
from typing import Any

from mover.compare import Comparison
from mover.crypto import VolumeKeys
from mover.device import volume_at
from mover.earlier import EVERYTHING, earlier_pass, require_untouched
from mover.entries import readable
from mover.errors import DestinationRefused, ForeignContent
from mover.following import Follower
from mover.journal import list_runs, read_manifest
from mover.objectstore import ObjectStore
from mover.report import Counters, Reporter
from mover.settings import Settings
from mover.state import state_of
from mover.tree import Volume

_MOST_NAMED = 3


def pull(settings: Settings, path: str, store: ObjectStore, reporter: Reporter) -> dict[str, Any]:
    """Restore the volume below `path`; the fields of the result line."""
    began = time.monotonic()
    keys = VolumeKeys(settings.data_key, settings.prefix)
    volume = volume_at(path, block=settings.block)
    require_directory(volume, f"destination volume {settings.volume}")
    state = state_of(volume)
    comparison = Comparison(settings, volume, store, keys, reporter)
    if not state.exists():
        foreign = list(itertools.islice(volume.names(b""), _MOST_NAMED + 1))
        before = earlier_pass(settings, store, keys) if foreign and settings.pass_number > 1 else None
        if foreign and before is None:
            result = _already_restored(settings, store, keys, comparison, foreign)
            return _result(result, reporter.counters, began)
        if before is not None:
            require_untouched(volume, before, settings, store, keys)
        state.create()
        if before is not None:
            state.record(before.run, EVERYTHING)
    run = Follower(settings, volume, store, keys, state, reporter.counters).follow()
    volume.sync()
    result = comparison.repair(run, before_root=state.remove)
    volume.sync()
    return _result(result, reporter.counters, began)


def _result(found: dict[str, Any], counters: Counters, began: float) -> dict[str, Any]:
    return {**found, "bytes_sent": counters.bytes_sent, "seconds": round(time.monotonic() - began, 3)}


def _already_restored(
    settings: Settings, store: ObjectStore, keys: VolumeKeys, comparison: Comparison, foreign: list[bytes]
) -> dict[str, Any]:
    """The result of the pull that was here before; ForeignContent when this is not what one leaves behind."""
    runs = list_runs(store)
    differences: list[str] = []
    if runs and read_manifest(store, keys, runs[-1], settings.volume) is not None:
        found = comparison.check(runs[-1], differences, repair_root=True)
        if not differences:
            return found
    some = ", ".join(readable(name) for name in foreign[:_MOST_NAMED]) + (", …" if len(foreign) > _MOST_NAMED else "")
    detail = f" It differs from the migration's data in {'; '.join(differences[:3])}." if differences else ""
    raise ForeignContent(
        f"The destination volume {settings.volume} is not empty: it holds {some}, which this migration did not put "
        f"there.{detail} Give an empty claim, or remove its content, and start again."
    )


def require_directory(volume: Volume, label: str) -> None:
    """Refuse to work below something that is not a directory."""
    try:
        status = volume.status(b"")
    except OSError as error:
        raise DestinationRefused(
            f"The {label} is not there: {os.strerror(error.errno or 0)}. Check the mount path."
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise DestinationRefused(f"The {label} is not a directory. Check the mount path.")
