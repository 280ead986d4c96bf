"""Verify: read a tree again, contents and all, and compare it with what the closed journal says. Nothing is changed."""

from __future__ import annotations

import time
from typing import Any

from mover.compare import Comparison
from mover.crypto import VolumeKeys
from mover.device import volume_at
from mover.errors import IntegrityError
from mover.journal import list_runs, read_manifest
from mover.objectstore import ObjectStore
from mover.pull import require_directory
from mover.report import Reporter
from mover.settings import Settings


def verify(settings: Settings, path: str, store: ObjectStore, reporter: Reporter) -> dict[str, Any]:
    """The fields of the result line; IntegrityError says what differs."""
    began = time.monotonic()
    keys = VolumeKeys(settings.data_key, settings.prefix)
    volume = volume_at(path, block=settings.block)
    require_directory(volume, f"volume {settings.volume}")
    runs = list_runs(store)
    if not runs:
        raise IntegrityError(
            f"The object store holds nothing of volume {settings.volume}. Push it first.", code="nothing-pushed"
        )
    manifest = read_manifest(store, keys, runs[-1], settings.volume)
    if manifest is None:
        raise IntegrityError(
            f"The push of volume {settings.volume} is not complete. Let it finish first.", code="journal-open"
        )
    reporter.counters.files_total, reporter.counters.bytes_total = manifest["files"], manifest["bytes"]
    differences: list[str] = []
    found = Comparison(settings, volume, store, keys, reporter).check(runs[-1], differences)
    if differences:
        more = "" if len(differences) <= 5 else f" and {len(differences) - 5} or more others"
        raise IntegrityError(
            f"Volume {settings.volume} is not what was pushed: {'; '.join(differences[:5])}{more}.", code="tree-differs"
        )
    return {**found, "bytes_sent": 0, "seconds": round(time.monotonic() - began, 3)}
