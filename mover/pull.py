"""Pull: restore what a push brings, while it brings it, and prove the result at its end."""

from __future__ import annotations

import os
import stat
import time
from typing import Any

from mover.compare import Comparison
from mover.crypto import VolumeKeys
from mover.device import volume_at
from mover.earlier import EVERYTHING, what_is_there
from mover.errors import DestinationRefused
from mover.following import Follower
from mover.journal import list_runs
from mover.objectstore import ObjectStore
from mover.report import Counters, Reporter
from mover.settings import Settings
from mover.state import state_of
from mover.tree import Volume


def pull(settings: Settings, path: str, store: ObjectStore, reporter: Reporter) -> dict[str, Any]:
    """Restore the volume below `path`; the fields of the result line."""
    began = time.monotonic()
    keys = VolumeKeys(settings.data_key, settings.prefix)
    volume = volume_at(path, block=settings.block)
    require_directory(volume, f"destination volume {settings.volume}")
    state = state_of(volume)
    comparison = Comparison(settings, volume, store, keys, reporter)
    if not state.exists():
        known = what_is_there(settings, volume, store, keys, comparison)
        if known is not None and known.result is not None and known.run == list_runs(store)[-1]:
            return _result(known.result, reporter.counters, began)
        state.create()
        if known is not None:
            state.record(known.run, EVERYTHING)
    run = Follower(settings, volume, store, keys, state, reporter.counters).follow()
    volume.sync()
    result = comparison.repair(run, before_root=state.remove)
    volume.sync()
    return _result(result, reporter.counters, began)


def _result(found: dict[str, Any], counters: Counters, began: float) -> dict[str, Any]:
    return {**found, "bytes_sent": counters.bytes_sent, "seconds": round(time.monotonic() - began, 3)}


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
