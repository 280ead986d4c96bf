"""From the movers' progress lines to bars, a rate and the time to go."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from migrations_app.models import MigrationVolume

# The rate is a moving average over about this long; shorter intervals than the shortest tell nothing.
RATE_SECONDS = 5.0
SHORTEST_SECONDS = 0.5
FIELDS = {
    "push": ("bytes_total", "bytes_pushed", "bytes_sent", "files_total"),
    "pull": ("bytes_pulled", "files_pulled", "rate", "eta_seconds", "measured_at"),
}


def note_push(volume: MigrationVolume, line: dict[str, Any]) -> None:
    """Take over a progress line of the pusher; nothing is saved.

    Numbers never go back: a mover that was started again counts anew.
    """
    if line.get("phase") != "scan":
        volume.bytes_pushed = max(volume.bytes_pushed, int(line.get("bytes_done") or 0))
        volume.bytes_sent = max(volume.bytes_sent, int(line.get("bytes_sent") or 0))
    if line.get("bytes_total") is not None:
        volume.bytes_total = int(line["bytes_total"])
    if line.get("files_total") is not None:
        volume.files_total = int(line["files_total"])


def note_pull(volume: MigrationVolume, line: dict[str, Any], now: datetime) -> None:
    """Take over a progress line of the puller, and what follows for the rate and the time to go; nothing is saved."""
    done = max(volume.bytes_pulled, int(line.get("bytes_done") or 0))
    volume.files_pulled = max(volume.files_pulled, int(line.get("files_done") or 0))
    if volume.measured_at is not None:
        seconds = (now - volume.measured_at).total_seconds()
        if seconds < SHORTEST_SECONDS:
            return
        newest = (done - volume.bytes_pulled) / seconds
        weight = 1 - math.exp(-seconds / RATE_SECONDS)
        volume.rate = newest if volume.rate is None else volume.rate + weight * (newest - volume.rate)
    volume.bytes_pulled, volume.measured_at = done, now
    volume.eta_seconds = None
    if volume.bytes_total is not None and volume.rate and volume.rate >= 1:
        volume.eta_seconds = max(0.0, (volume.bytes_total - done) / volume.rate)


def note(volume: MigrationVolume, direction: str, line: dict[str, Any], now: datetime) -> None:
    """Take over a progress line of either mover."""
    if direction == "push":
        note_push(volume, line)
    else:
        note_pull(volume, line, now)
